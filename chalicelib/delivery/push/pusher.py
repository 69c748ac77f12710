"""One HTTP request with JSON to another system, and what is known afterwards. Never repeats a request by itself.

urllib3 speaks HTTP and TLS; where it connects to is decided here (see addresses), for every redirect again.
"""

from __future__ import annotations

import socket
import ssl
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC
from email.utils import parsedate_to_datetime
from functools import cache
from threading import Timer
from typing import TYPE_CHECKING, Any
from urllib.parse import SplitResult, urljoin, urlsplit

from chalicelib import clock
from chalicelib.aws.mailer import InDoubt, MailError, Refused
from chalicelib.delivery.push.addresses import NoAddress, PrivateAddress, Resolve, checked, resolve

if TYPE_CHECKING:
    from urllib3.connection import HTTPConnection

#: A request may take so long, from its first byte to the last one of the answer.
TIMEOUT_SECONDS = 30.0
CONNECT_SECONDS = 5.0
#: So much of an answer is read, and so much of it is kept.
MAX_READ, MAX_KEPT = 64_000, 500
MAX_REDIRECTS = 3
#: These redirects ask for the same request elsewhere; others would drop the object (RFC 9110 §15.4).
_SAME_AGAIN = {307, 308}
_REDIRECTS = {301, 302, 303, 307, 308}

USER_AGENT = "OnTask"
PRIVATE = "The address leads into a private network, where this product sends nothing. An administrator can allow it."


class Later(MailError):
    """Raised when the object was not taken and may be later; `seconds` is how long the other side wants to be left.

    `is_host` says that the whole host takes nothing just now, `too_fast` that it got too much (429).
    """

    def __init__(
        self, reason: str, seconds: float | None = None, *, is_host: bool = False, too_fast: bool = False
    ) -> None:
        super().__init__(reason)
        self.seconds, self.is_host, self.too_fast = seconds, is_host, too_fast


@dataclass(frozen=True)
class Parcel:
    """A request ready to leave."""

    url: str
    method: str
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)


@dataclass(frozen=True)
class Reply:
    """What the other system answered: the status and the first part of the text."""

    status: int
    text: str

    def __str__(self) -> str:
        return f"{self.status} {self.text}".rstrip()


class Pusher:
    """Sends parcels; `look_up` is how names become addresses."""

    def __init__(self, look_up: Resolve = resolve, *, timeout: float = TIMEOUT_SECONDS) -> None:
        self._look_up, self._timeout = look_up, timeout

    def push(self, parcel: Parcel) -> Reply:
        """Send one parcel, once, and return the answer when it was taken (2xx).

        Raises Later, Refused or InDoubt.
        """
        reply, retry_after = self.ask(parcel)
        if 200 <= reply.status < 300:
            return reply
        if reply.status == 429 or reply.status >= 500:
            is_host, too_fast = reply.status in {429, 503}, reply.status == 429
            raise Later(str(reply), retry_after, is_host=is_host, too_fast=too_fast)
        raise Refused(str(reply))

    def ask(self, parcel: Parcel) -> tuple[Reply, float | None]:
        """Send one parcel and return whatever is answered, with the seconds of a `Retry-After`.

        Raises Later, Refused or InDoubt when there is no answer.
        """
        url, headers = parcel.url, dict(parcel.headers)
        for _ in range(MAX_REDIRECTS + 1):
            reply, answered = self._once(url, parcel.method, parcel.body, headers)
            if reply.status not in _REDIRECTS:
                return reply, _seconds(answered.get("retry-after", ""))
            following = urljoin(url, answered.get("location", ""))
            if reply.status not in _SAME_AGAIN:
                raise Refused(f"{reply.status}: answered with another address that would not take the object.")
            if _origin(following) != _origin(url):  # the secret is for the host that it was given for
                raise Refused(f"{reply.status}: answered with the address of another host. Set that one as the target.")
            url = following
        raise Refused("Answered with one other address after another.")

    def _once(self, url: str, method: str, body: bytes, headers: Mapping[str, str]) -> tuple[Reply, Mapping[str, str]]:
        """Send a request to the address itself."""
        from http.client import HTTPException

        from urllib3.exceptions import HTTPError

        target = _split(url)
        if target.scheme not in {"http", "https"} or not target.hostname:
            raise Refused("Only http and https addresses can be sent to.")
        connection = self._connect(target)
        path = (target.path or "/") + (f"?{target.query}" if target.query else "")
        named = {**headers, "Host": target.netloc.rpartition("@")[2], "User-Agent": USER_AGENT}
        watch = _Watch(connection, self._timeout)
        try:
            connection.request(method, path, body=body, headers=named, preload_content=False, decode_content=False)
            response = connection.getresponse()
            answered = {name.lower(): value for name, value in response.headers.items()}
            reply = Reply(response.status, _text(response))
        except (HTTPError, HTTPException, OSError, ValueError) as error:
            raise InDoubt("No answer came.") from error
        finally:
            watch.end()
            connection.close()
        if watch.is_over:
            raise InDoubt("The answer did not come in time.")
        return reply, answered

    def _connect(self, target: SplitResult) -> HTTPConnection:
        """Return a connection to a checked address of the target.

        Raises Refused or Later: nothing has been sent.
        """
        from urllib3.exceptions import HTTPError

        host, port = _host(target), _port(target)
        try:
            found = checked(host, port, self._look_up)
        except PrivateAddress as error:
            raise Refused(PRIVATE) from error
        except NoAddress as error:
            raise Later(f"There is no host {host}.", is_host=True) from error
        trouble = "It could not be reached."
        for address in found[:3]:
            connection = _connection(target, address, host, port, self._timeout)
            try:
                connection.connect()
                if connection.sock is not None:
                    connection.sock.settimeout(self._timeout)
            except (HTTPError, OSError) as error:
                connection.close()
                trouble = "Its certificate is not valid." if _is_certificate(error) else "It could not be reached."
                continue
            return connection
        raise Later(f"{host}: {trouble}", is_host=True)


def _connection(target: SplitResult, address: str, host: str, port: int, timeout: float) -> HTTPConnection:
    from urllib3.connection import HTTPConnection, HTTPSConnection

    seconds = min(CONNECT_SECONDS, timeout)
    if target.scheme == "http":
        return HTTPConnection(address, port, timeout=seconds)
    return HTTPSConnection(
        address, port, timeout=seconds, ssl_context=_tls(), server_hostname=host, assert_hostname=host
    )  # fmt: skip


@cache
def _tls() -> ssl.SSLContext:
    return ssl.create_default_context()


def _is_certificate(error: BaseException) -> bool:
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, ssl.SSLCertVerificationError) or "certificate" in str(seen).lower():
            return True
        seen = seen.__cause__
    return False


class _Watch:
    """Ends a request that takes too long as a whole: a time-out of the socket begins again with every byte."""

    def __init__(self, connection: HTTPConnection, seconds: float) -> None:
        self.is_over = False
        self._connection = connection
        self._timer = Timer(seconds, self._cut)
        self._timer.daemon = True
        self._timer.start()

    def end(self) -> None:
        """Stop watching."""
        self._timer.cancel()

    def _cut(self) -> None:
        self.is_over = True
        if self._connection.sock is not None:
            with suppress(OSError):  # it has ended by itself meanwhile
                self._connection.sock.shutdown(socket.SHUT_RDWR)


def _split(url: str) -> SplitResult:
    try:
        return urlsplit(url)
    except ValueError as error:
        raise Refused("This is no address of the web.") from error


def _text(response: Any) -> str:
    """Return the first part of an answer, on one line; the rest is not waited for."""
    text = response.read(MAX_READ, decode_content=False).decode("utf-8", "replace").replace("\x00", "")
    return " ".join(text.split())[:MAX_KEPT]


def _host(target: SplitResult) -> str:
    """Return the host as DNS and certificates know it."""
    host = target.hostname or ""
    try:
        return host if ":" in host else host.encode("idna").decode()
    except UnicodeError as error:
        raise Refused("The host of the address is no name.") from error


def _port(target: SplitResult) -> int:
    try:
        return target.port or (443 if target.scheme == "https" else 80)
    except ValueError as error:
        raise Refused("The port of the address is no number.") from error


def _origin(url: str) -> tuple[str, str, int]:
    target = _split(url)
    return target.scheme, (target.hostname or "").lower(), _port(target)


def _seconds(retry_after: str) -> float | None:
    """Return what a `Retry-After` says: seconds, or a date (RFC 9110 §10.2.3)."""
    if retry_after.strip().isdigit():
        return float(min(int(retry_after.strip()[:9]), 10**8))
    try:
        moment = parsedate_to_datetime(retry_after)
    except ValueError:
        return None
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return max(0.0, (moment - clock.now()).total_seconds())
