"""SES v2 on one machine: takes mails, keeps them for `/dev/outbox`, and tells what became of them.

Speaks SendEmail (raw) and GetAccount. Events come as SNS notifications in the queue of mail events, in the formats of
the SES Developer Guide, "Contents of event data that Amazon SES publishes to Amazon SNS". Addresses behave like those
of the mailbox simulator: a local part that begins with `bounce`, `complaint` or `suppressionlist` does what it says,
every other one is delivered. Its time is the product's, so that the mails of the sample course arrive in its past.
"""

from __future__ import annotations

import base64
import json
import sqlite3
import threading
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from chalicelib import clock
from local.server import Answer, JsonServer

Publish = Callable[[dict[str, Any]], None]

SCHEMA = """
CREATE TABLE IF NOT EXISTS mail (id TEXT PRIMARY KEY, at REAL, sender TEXT, recipients TEXT, tags TEXT, raw BLOB);
CREATE TABLE IF NOT EXISTS event (number INTEGER PRIMARY KEY, due REAL, body TEXT);
CREATE INDEX IF NOT EXISTS mail_at ON mail (at);
"""


@dataclass(frozen=True)
class Mail:
    """A mail as it was accepted; `raw` is its MIME text."""

    id: str
    at: float
    sender: str
    recipients: list[str]
    tags: dict[str, str]
    raw: bytes


class Outbox:
    """Accepted mails and the events still to be published, in one SQLite file."""

    def __init__(self, path: Path | str) -> None:
        self._lock = threading.Lock()
        self._db = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = OFF")  # survives a kill; a power cut may cost the last mails
        self._db.executescript(SCHEMA)

    def accept(self, mail: Mail, events: list[tuple[float, str]]) -> None:
        """Keep a mail together with its future events, or neither."""
        with self._lock:
            self._db.execute("BEGIN")
            self._db.execute(
                "INSERT INTO mail VALUES (?, ?, ?, ?, ?, ?)",
                (mail.id, mail.at, mail.sender, json.dumps(mail.recipients), json.dumps(mail.tags), mail.raw),
            )
            self._db.executemany("INSERT INTO event (due, body) VALUES (?, ?)", events)
            self._db.execute("COMMIT")

    def take_due(self, now: float, limit: int = 200) -> list[tuple[int, str]]:
        """Return events that are due, oldest first."""
        with self._lock:
            found = self._db.execute("SELECT number, body FROM event WHERE due <= ? ORDER BY due LIMIT ?", (now, limit))
            return [(number, body) for number, body in found]

    def published(self, numbers: list[int]) -> None:
        """Forget events that are out."""
        with self._lock:
            self._db.executemany("DELETE FROM event WHERE number = ?", [(number,) for number in numbers])

    def mails(self, search: str = "", limit: int = 200) -> list[Mail]:
        """Return the newest mails, those to `search` when it is given."""
        with self._lock:
            found = self._db.execute(
                "SELECT * FROM mail WHERE recipients LIKE ? ORDER BY at DESC LIMIT ?", (f"%{search}%", limit)
            ).fetchall()
        return [_mail(row) for row in found]

    def mail(self, mail_id: str) -> Mail | None:
        """Return one mail."""
        with self._lock:
            row = self._db.execute("SELECT * FROM mail WHERE id = ?", (mail_id,)).fetchone()
        return _mail(row) if row else None

    def count(self, since: float = 0.0) -> int:
        """Return how many mails were accepted since an instant (seconds since 1970)."""
        with self._lock:
            return int(self._db.execute("SELECT count(*) FROM mail WHERE at >= ?", (since,)).fetchone()[0])


def _mail(row: Any) -> Mail:
    id_, at, sender, recipients, tags, raw = row
    return Mail(id_, at, sender, json.loads(recipients), json.loads(tags), raw)


class Service:
    """SES: `call` answers one request, `publish_due` sends the events whose time has come."""

    def __init__(
        self,
        outbox: Outbox,
        publish: Publish,
        topic_arn: str,
        *,
        event_delay_seconds: float = 0.3,
        rate: float = 14.0,
        quota: int = 50_000,
        now: Callable[[], float] = lambda: clock.now().timestamp(),
    ) -> None:
        self.outbox = outbox
        self._publish = publish
        self._topic_arn = topic_arn
        self._delay = event_delay_seconds
        self._rate, self._quota = rate, quota
        self._now = now
        #: Set by tests: called with the request before it is accepted; may return an (status, error) answer.
        self.refuse: Callable[[dict[str, Any]], Answer | None] = lambda _request: None

    def call(self, method: str, path: str, body: bytes) -> Answer:
        """Answer one request of the SES v2 API."""
        if method == "POST" and path == "/v2/email/outbound-emails":
            return self._send(json.loads(body))
        if method == "GET" and path == "/v2/email/account":
            sent = self.outbox.count(self._now() - 86400)
            quota = {"Max24HourSend": float(self._quota), "MaxSendRate": self._rate, "SentLast24Hours": float(sent)}
            return 200, {
                "SendQuota": quota, "SendingEnabled": True, "ProductionAccessEnabled": True,
                "EnforcementStatus": "HEALTHY", "DedicatedIpAutoWarmupEnabled": False,
            }  # fmt: skip
        return 404, {"__type": "NotFoundException", "message": f"{method} {path} is not emulated"}

    def _send(self, request: dict[str, Any]) -> Answer:
        if refused := self.refuse(request):
            return refused
        destination = request.get("Destination") or {}
        recipients = [address for kind in ("To", "Cc", "Bcc") for address in destination.get(f"{kind}Addresses") or []]
        if not recipients:
            return 400, {"__type": "BadRequestException", "message": "The message has no recipients."}
        mail = Mail(
            id=f"{uuid.uuid4()}-000000",
            at=self._now(),
            sender=request.get("FromEmailAddress", ""),
            recipients=recipients,
            tags={tag["Name"]: tag["Value"] for tag in request.get("EmailTags") or []},
            raw=base64.b64decode(request["Content"]["Raw"]["Data"]),
        )
        events = self._events(mail) if request.get("ConfigurationSetName") else []
        self.outbox.accept(mail, [(due, json.dumps(event)) for due, event in events])
        return 200, {"MessageId": mail.id}

    def _events(self, mail: Mail) -> list[tuple[float, dict[str, Any]]]:
        first = mail.recipients[0].partition("@")[0]
        kinds = ["Send", "Delivery"]
        if first.startswith(("bounce", "suppressionlist")):
            kinds = ["Send", "Bounce"]
        elif first.startswith("complaint"):
            kinds.append("Complaint")
        return [(mail.at + self._delay * number, _event(kind, mail)) for number, kind in enumerate(kinds, 1)]

    def publish_due(self) -> int:
        """Publish what is due; return how many events that were."""
        due = self.outbox.take_due(self._now())
        for _, body in due:
            self._publish(notification(body, self._topic_arn))
        self.outbox.published([number for number, _ in due])
        return len(due)

    def serve(self, port: int = 0) -> JsonServer:
        """Serve on 127.0.0.1; `.url` of the result goes into AWS_ENDPOINT_URL_SESV2."""

        def answer(method: str, path: str, _headers: dict[str, str], body: bytes) -> Answer:
            return self.call(method, path.partition("?")[0], body)

        return JsonServer(answer, port, "application/json")


def notification(message: str, topic_arn: str) -> dict[str, Any]:
    """Return the envelope in which SNS puts `message` for an SQS subscription."""
    return {
        "Type": "Notification", "MessageId": str(uuid.uuid4()), "TopicArn": topic_arn, "Message": message,
        "Timestamp": datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
    }  # fmt: skip


def _event(kind: str, mail: Mail) -> dict[str, Any]:
    stamp = datetime.fromtimestamp(mail.at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    first = mail.recipients[0]
    detail: dict[str, Any] = {"timestamp": stamp}
    if kind == "Delivery":
        detail |= {
            "recipients": mail.recipients,
            "smtpResponse": "250 2.6.0 Message received",
            "processingTimeMillis": 1,
        }
    elif kind == "Bounce":
        reason = {
            "emailAddress": first, "action": "failed", "status": "5.1.1",
            "diagnosticCode": "smtp; 550 5.1.1 user unknown",
        }  # fmt: skip
        detail |= {
            "bounceType": "Permanent", "bounceSubType": "General", "bouncedRecipients": [reason],
            "feedbackId": str(uuid.uuid4()),
        }  # fmt: skip
    elif kind == "Complaint":
        detail |= {
            "complainedRecipients": [{"emailAddress": first}], "complaintFeedbackType": "abuse",
            "feedbackId": str(uuid.uuid4()),
        }  # fmt: skip
    return {
        "eventType": kind,
        "mail": {
            "timestamp": stamp, "messageId": mail.id, "source": mail.sender, "destination": mail.recipients,
            "tags": {name: [value] for name, value in mail.tags.items()},
        },
        kind.lower(): detail,
    }  # fmt: skip
