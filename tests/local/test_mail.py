"""The one-machine SES: accepts as SES does, tells what became of a mail, keeps both through a kill."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from local.outbox import Pages, content
from local.ses import Outbox, Service
from tests.conftest import NOON, Clock

RAW = (
    b"From: OnTask <no-reply@ontask.example>\r\nTo: ana@uni.example\r\nSubject: =?utf-8?q?Ol=C3=A1?=\r\n"
    b'MIME-Version: 1.0\r\nContent-Type: multipart/alternative; boundary="b"\r\n\r\n'
    b"--b\r\nContent-Type: text/plain; charset=utf-8\r\n\r\nHello\r\n"
    b"--b\r\nContent-Type: text/html; charset=utf-8\r\n\r\n<p>Hello <script>alert(1)</script></p>\r\n--b--\r\n"
)
TOPIC = "arn:aws:sns:us-east-1:123456789012:ontask-mail-events"


class Sink:
    """SES with time that stands still and the notifications it published."""

    def __init__(self, path: Path) -> None:
        self.seconds = 1000.0
        self.published: list[dict[str, Any]] = []
        self.service = Service(
            Outbox(path), self.published.append, TOPIC, event_delay_seconds=1.0, now=lambda: self.seconds
        )

    def events(self, seconds: float) -> list[str]:
        """Let time pass; return the kinds of the events published meanwhile."""
        self.seconds += seconds
        self.published.clear()
        self.service.publish_due()
        return [json.loads(envelope["Message"])["eventType"] for envelope in self.published]


@pytest.fixture
def sink(tmp_path: Path) -> Sink:
    return Sink(tmp_path / "outbox.sqlite")


@pytest.fixture
def ses(sink: Sink) -> Iterator[Any]:
    server = sink.service.serve()
    yield boto3.client("sesv2", endpoint_url=server.url)
    server.stop()


def send(ses: Any, *to: str) -> str:
    return ses.send_email(
        FromEmailAddress="no-reply@ontask.example", Destination={"ToAddresses": list(to)},
        Content={"Raw": {"Data": RAW}}, EmailTags=[{"Name": "message", "Value": "12"}],
        ConfigurationSetName="ontask",
    )["MessageId"]  # fmt: skip


def test_a_mail_is_kept_as_it_was_sent(sink: Sink, ses: Any) -> None:
    mail_id = send(ses, "ana@uni.example")
    mail = sink.service.outbox.mail(mail_id)
    assert mail is not None
    assert (mail.raw, mail.tags, mail.recipients) == (RAW, {"message": "12"}, ["ana@uni.example"])
    assert content(mail)[0].strip() == "Hello"


def test_a_delivered_mail_is_told_with_its_tags_in_an_sns_envelope(sink: Sink, ses: Any) -> None:
    mail_id = send(ses, "ana@uni.example")
    assert sink.events(0) == []
    assert sink.events(1) == ["Send"]
    assert sink.events(1) == ["Delivery"]
    (envelope,) = sink.published
    message = json.loads(envelope["Message"])
    assert envelope["TopicArn"] == TOPIC
    assert (message["mail"]["messageId"], message["mail"]["tags"]) == (mail_id, {"message": ["12"]})


@pytest.mark.parametrize(
    ("address", "events"),
    [
        ("bounce@simulator.amazonses.com", ["Send", "Bounce"]),
        ("suppressionlist@simulator.amazonses.com", ["Send", "Bounce"]),
        ("complaint@simulator.amazonses.com", ["Send", "Delivery", "Complaint"]),
    ],
)
def test_simulator_addresses_do_what_they_say(sink: Sink, ses: Any, address: str, events: list[str]) -> None:
    send(ses, address)
    assert sink.events(10) == events


def test_a_mail_of_the_sample_course_arrives_in_its_past(tmp_path: Path, frozen_clock: Clock) -> None:
    published: list[dict[str, Any]] = []
    service = Service(Outbox(tmp_path / "outbox.sqlite"), published.append, TOPIC)
    server = service.serve()
    send(boto3.client("sesv2", endpoint_url=server.url), "ana@uni.example")
    server.stop()
    frozen_clock.advance(days=3)
    service.publish_due()
    told = [json.loads(envelope["Message"]) for envelope in published]
    assert [event["eventType"] for event in told] == ["Send", "Delivery"]
    assert told[1]["delivery"]["timestamp"] == f"{NOON:%Y-%m-%dT%H:%M}:00.000Z"


def test_events_survive_a_kill(tmp_path: Path) -> None:
    before = Sink(tmp_path / "outbox.sqlite")
    server = before.service.serve()
    send(boto3.client("sesv2", endpoint_url=server.url), "ana@uni.example")
    server.stop()
    after = Sink(tmp_path / "outbox.sqlite")
    assert after.events(10) == ["Send", "Delivery"]
    assert after.events(10) == []


def test_the_account_tells_rate_and_what_was_sent(ses: Any) -> None:
    send(ses, "ana@uni.example")
    quota = ses.get_account()["SendQuota"]
    assert quota == {"Max24HourSend": 50_000.0, "MaxSendRate": 14.0, "SentLast24Hours": 1.0}


def test_a_mail_to_nobody_is_refused(ses: Any) -> None:
    with pytest.raises(ClientError, match="BadRequestException"):
        send(ses)


def test_the_outbox_shows_mails_and_runs_nothing(sink: Sink, ses: Any) -> None:
    mail_id = send(ses, "ana@uni.example")
    pages = Pages(sink.service.outbox, lambda *_: [b"the product"])

    def get(path: str, query: str = "") -> tuple[str, dict[str, str], str]:
        answered: list[Any] = []
        body = pages({"PATH_INFO": path, "QUERY_STRING": query}, lambda *start: answered.extend(start))
        return (
            (answered[0], dict(answered[1]), b"".join(body).decode()) if answered else ("", {}, b"".join(body).decode())
        )

    assert "Olá" in get("/dev/outbox")[2]
    assert "Olá" not in get("/dev/outbox", "q=nobody")[2]
    assert "ana@uni.example" in get(f"/dev/outbox/{mail_id}")[2]
    assert "sandbox" in get(f"/dev/outbox/{mail_id}/body")[1]["Content-Security-Policy"]
    assert get("/dev/outbox/unknown")[0].startswith("404")
    assert get("/workflows")[2] == "the product"
