"""SES v2's two calls that we make, spoken directly over botocore's own connection and signature.

boto3's client spends half a millisecond a mail on finding out what it knew already: the endpoint, the shape of the
request, who else wants to look at it. A sender's speed is that of this call. Errors are boto3's own.
"""

from __future__ import annotations

import json
import socket
from base64 import b64encode
from collections.abc import Callable
from typing import Any

from chalicelib.aws.client import client

CONNECT_TIMEOUT_SECONDS = 3


class Ses:
    """Stands in for `boto3.client("sesv2")`: same methods, same arguments, same errors; nothing is ever repeated."""

    def __init__(self, read_timeout_seconds: int) -> None:
        import boto3
        from botocore.auth import SigV4Auth
        from botocore.httpsession import URLLib3Session

        # The client knows region and endpoint: from the environment, the profile or the function's role.
        meta = client("sesv2", attempts=1, read_timeout_seconds=read_timeout_seconds).meta
        session = boto3.Session()
        self._url = f"{meta.endpoint_url}/v2/email"
        self._credentials = session.get_credentials()
        self._signer: Callable[[Any], Any] = lambda credentials: SigV4Auth(credentials, "ses", meta.region_name)
        self._http = URLLib3Session(
            timeout=(CONNECT_TIMEOUT_SECONDS, read_timeout_seconds),
            # A request leaves in two pieces; without this the second waits 40 ms for the first's acknowledgement.
            socket_options=[(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)],
            verify=session._session.get_config_variable("ca_bundle") or True,
        )

    def send_email(self, **request: Any) -> dict[str, Any]:
        """Send one mail; `Content.Raw.Data` is bytes, as for boto3.

        Raises botocore's ClientError and BotoCoreError, as boto3 does.
        """
        raw: bytes = request["Content"]["Raw"]["Data"]
        body = {**request, "Content": {"Raw": {"Data": b64encode(raw).decode()}}}
        return self._call("SendEmail", "POST", "/outbound-emails", json.dumps(body).encode())

    def get_account(self) -> dict[str, Any]:
        """Return the account's limits; raises as `send_email` does."""
        return self._call("GetAccount", "GET", "/account", b"")

    def _call(self, name: str, method: str, path: str, body: bytes) -> dict[str, Any]:
        from botocore.awsrequest import AWSRequest
        from botocore.exceptions import ClientError, NoCredentialsError

        if self._credentials is None:
            raise NoCredentialsError
        headers = {"Content-Type": "application/json"} if body else {}
        request = AWSRequest(method, self._url + path, headers, body)
        self._signer(self._credentials.get_frozen_credentials()).add_auth(request)
        answer = self._http.send(request.prepare())
        if 200 <= answer.status_code < 300:
            return _read(answer.content)
        raise ClientError(_problem(answer.status_code, answer.headers, _read(answer.content)), name)


def _read(content: bytes) -> dict[str, Any]:
    try:
        found = json.loads(content or b"{}")
    except ValueError:  # a gateway's page on the way
        return {}
    return found if isinstance(found, dict) else {}


def _problem(status: int, headers: Any, body: dict[str, Any]) -> Any:
    """Return an error as botocore's parser of restJson1 does: its name is in a header or in the body."""
    name = headers.get("x-amzn-ErrorType") or body.get("__type") or body.get("code") or str(status)
    code = str(name).split(":", 1)[0].rsplit("#", 1)[-1]
    message = str(body.get("message") or body.get("Message") or "")
    return {"Error": {"Code": code, "Message": message}, "ResponseMetadata": {"HTTPStatusCode": status}}
