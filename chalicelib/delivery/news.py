"""What the events queue brings: SES events in SNS envelopes, and our own notes of pixels and links."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from chalicelib.delivery import agents
from chalicelib.delivery.models import BOUNCED, COMPLAINED, DELIVERED, FAILED, RANKS, SENT, SOFT_BOUNCE_RANK
from chalicelib.delivery.send import TAG
from chalicelib.settings import settings

#: The tag of a mail to the mailbox simulator; its value is the probe's time in milliseconds since 1970.
PROBE_TAG = "probe"
OPEN, CLICK = "open", "click"
#: What of an event is kept; addresses other than the learner's own and the mail itself are not.
MAX_DETAIL_CHARACTERS = 500


class NotOurs(Exception):
    """Raised for a queue message that is neither an SES event of our topic nor a note of ours."""


@dataclass(frozen=True)
class News:
    """One thing that happened to a mail. `rank` says how much it tells (models.RANKS); 0 changes no state."""

    message_id: int
    type: str
    at: datetime
    state: str = ""
    rank: int = 0
    reason: str = ""
    suppress: str = ""
    addresses: list[str] = field(default_factory=list)
    detail: dict[str, Any] = field(default_factory=dict)
    is_machine: bool = False
    configuration_set: str = ""


@dataclass(frozen=True)
class ProbeNews:
    """A probe's event arrived: those of its configuration set do."""

    configuration_set: str
    sent_at: datetime


def read(body: str) -> News | ProbeNews | None:
    """Return what a queue message says; None for an event that tells us nothing.

    Raises NotOurs when it can't be believed or read.
    """
    try:
        outer = json.loads(body)
        if "hit" in outer:
            return _hit(outer)
        if outer.get("TopicArn") != settings().events_topic_arn:
            raise NotOurs("an event of another topic")
        event = json.loads(outer["Message"])
        return _event(event) if isinstance(event, dict) and "mail" in event else None
    except (ValueError, KeyError, TypeError, AttributeError, IndexError) as error:
        raise NotOurs(f"not readable: {type(error).__name__}") from error


def _hit(note: dict[str, Any]) -> News:
    kind = {OPEN: OPEN, CLICK: CLICK}[note["hit"]]
    detail = {"url": str(note["url"])[:MAX_DETAIL_CHARACTERS]} if note.get("url") else {}
    at, is_machine = datetime.fromisoformat(note["at"]), bool(note.get("machine"))
    return News(int(note["message"]), kind, at, detail=detail, is_machine=is_machine)


def _event(event: dict[str, Any]) -> News | ProbeNews | None:
    """Translate an event (SES Developer Guide, "Contents of event data published to Amazon SNS")."""
    tags = event["mail"].get("tags", {})
    configuration_set = (tags.get("ses:configuration-set") or [settings().ses_configuration_set])[0]
    if PROBE_TAG in tags:
        return ProbeNews(configuration_set, datetime.fromtimestamp(int(tags[PROBE_TAG][0]) / 1000, UTC))
    if TAG not in tags:
        return None
    message_id, kind = int(tags[TAG][0]), str(event["eventType"])
    about = event.get(kind[:1].lower() + kind[1:], {})
    at = datetime.fromisoformat(about.get("timestamp") or event["mail"]["timestamp"])
    known = {"message_id": message_id, "at": at, "configuration_set": configuration_set}
    match kind:
        case "Send":
            return News(type="send", state=SENT, rank=RANKS[SENT], **known)
        case "Delivery":
            return News(type="delivery", state=DELIVERED, rank=RANKS[DELIVERED], **known)
        case "Bounce":
            return _bounce(about, known)
        case "Complaint":
            addresses = _addresses(about.get("complainedRecipients"))
            return News(
                type="complaint", state=COMPLAINED, rank=RANKS[COMPLAINED], suppress=COMPLAINED, addresses=addresses,
                reason="The learner marked this mail as unwanted.", **known,
            )  # fmt: skip
        case "Reject" | "Rendering Failure":
            reason = str(about.get("reason") or about.get("errorMessage") or kind)[:MAX_DETAIL_CHARACTERS]
            return News(type="reject", state=FAILED, rank=RANKS[SENT] + 1, reason=reason, **known)
        case "DeliveryDelay":
            return News(type="delay", detail={"kind": str(about.get("delayType", ""))}, **known)
        case "Open" | "Click":
            detail = {"url": str(about["link"])[:MAX_DETAIL_CHARACTERS]} if about.get("link") else {}
            is_machine = agents.is_machine(str(about.get("userAgent", "")))
            return News(type=OPEN if kind == "Open" else CLICK, detail=detail, is_machine=is_machine, **known)
    return None


def _bounce(about: dict[str, Any], known: dict[str, Any]) -> News:
    soft = about.get("bounceType") == "Transient"
    recipients = about.get("bouncedRecipients") or []
    reason = next((str(one["diagnosticCode"]) for one in recipients if one.get("diagnosticCode")), "")
    return News(
        type="bounce", state=BOUNCED, rank=SOFT_BOUNCE_RANK if soft else RANKS[BOUNCED],
        reason=(reason or str(about.get("bounceSubType", "")))[:MAX_DETAIL_CHARACTERS],
        suppress="" if soft else BOUNCED, addresses=_addresses(recipients),
        detail={"kind": f"{about.get('bounceType', '')} {about.get('bounceSubType', '')}".strip()}, **known,
    )  # fmt: skip


def _addresses(recipients: Any) -> list[str]:
    return [str(one["emailAddress"]).lower() for one in recipients or []]
