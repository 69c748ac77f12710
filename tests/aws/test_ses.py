"""Our short way to SES does what boto3's client does: the same request, the same answers, the same errors."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from chalicelib.aws import client
from chalicelib.aws.ses import Ses
from local.server import JsonServer
from local.ses import Outbox, Service

REQUEST: dict[str, Any] = {
    "FromEmailAddress": "Inés <no-reply@ontask.example>",
    "Destination": {"ToAddresses": ["ana@uni.example"], "BccAddresses": ["b@uni.example"]},
    "Content": {"Raw": {"Data": "Subject: Olá\r\n\r\nHello".encode()}},
    "ConfigurationSetName": "ontask",
    "EmailTags": [{"Name": "message", "Value": "12"}],
}


@pytest.fixture
def both(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Makes boto3's client and ours for an address."""

    def make(url: str) -> tuple[Any, Ses]:
        monkeypatch.setenv("AWS_ENDPOINT_URL_SESV2", url)
        client.forget()
        config = Config(retries={"total_max_attempts": 1}, read_timeout=1)
        return boto3.client("sesv2", config=config), Ses(read_timeout_seconds=1)

    yield make
    client.forget()


def outcome(ses: Any) -> Any:
    """What comes of a mail: the answer, or the error as far as anybody looks at it."""
    try:
        return sorted(ses.send_email(**REQUEST).keys() - {"ResponseMetadata"})
    except ClientError as error:
        return error.response["Error"], error.response["ResponseMetadata"]["HTTPStatusCode"]
    except BotoCoreError as error:
        return type(error)


def test_the_same_request_arrives(both: Any, tmp_path: Path) -> None:
    seen: list[dict[str, Any]] = []
    service = Service(Outbox(tmp_path / "outbox"), lambda _event: None, "topic")
    service.refuse = seen.append  # type: ignore[assignment]
    server = service.serve()
    boto, ours = both(server.url)
    assert outcome(boto) == outcome(ours) == ["MessageId"]
    assert seen[0] == seen[1]
    assert ours.get_account()["SendQuota"] == boto.get_account()["SendQuota"]
    server.stop()


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (400, {"__type": "MessageRejected", "message": "Virus"}),
        (400, {"__type": "com.amazonaws.ses#BadRequestException", "message": "No"}),
        (429, {"__type": "TooManyRequestsException", "Message": "Slow"}),
        (403, {"message": "The security token included in the request is invalid."}),
        (500, {"__type": "InternalServiceErrorException"}),
        (503, {}),
    ],
    ids=str,
)
def test_errors_are_the_same(both: Any, status: int, body: dict[str, Any]) -> None:
    server = JsonServer(lambda *_request: (status, body), 0, "application/json")
    boto, ours = both(server.url)
    theirs, mine = outcome(boto), outcome(ours)
    assert mine[1] == theirs[1] == status
    assert mine[0]["Message"] == theirs[0].get("Message", "")
    assert mine[0]["Code"] == theirs[0]["Code"]
    server.stop()


def deaf(answer: bytes | None) -> tuple[str, socket.socket]:
    """A server that takes a connection and says something wrong, or (None) nothing at all."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            connection.recv(65536)
            if answer is not None:
                connection.sendall(answer)
                connection.close()
            else:
                kept.append(connection)

    kept: list[socket.socket] = []
    threading.Thread(target=serve, daemon=True).start()
    return f"http://127.0.0.1:{listener.getsockname()[1]}", listener


@pytest.mark.parametrize("answer", [None, b"", b"HTTP/1.1 200 OK\r\nContent-Le"], ids=["silent", "hangs up", "half"])
def test_broken_connections_are_the_same_error(both: Any, answer: bytes | None) -> None:
    url, listener = deaf(answer)
    boto, ours = both(url)
    assert outcome(ours) == outcome(boto)
    listener.close()


def test_nobody_at_home_is_the_same_error(both: Any) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
    boto, ours = both(url)
    assert outcome(ours) == outcome(boto)


def test_a_page_instead_of_an_answer_is_no_acceptance(both: Any) -> None:
    page = b"HTTP/1.1 502 Bad Gateway\r\nContent-Type: text/html\r\nContent-Length: 4\r\n\r\noops"
    url, listener = deaf(page)
    _, ours = both(url)
    assert outcome(ours) == ({"Code": "502", "Message": ""}, 502)
    listener.close()
