"""Reads for the send page and the run page."""

from chalicelib.delivery.queries.receipt import (
    Before,
    LeftOut,
    Receipt,
    Sample,
    bad_addresses,
    defaults,
    receipt,
    sent_lately,
)
from chalicelib.delivery.queries.runs import (
    MessagePage,
    Point,
    RunCard,
    Totals,
    is_erased,
    mail_events,
    message,
    messages,
    rendered,
    run,
    runs,
    seconds_left,
    timeline,
    totals,
    unfinished_runs,
    who_began,
)

__all__ = [
    "Before", "LeftOut", "MessagePage", "Point", "Receipt", "RunCard", "Sample", "Totals", "bad_addresses", "defaults",
    "is_erased", "mail_events", "message", "messages", "receipt", "rendered", "run", "runs", "seconds_left",
    "sent_lately", "timeline", "totals", "unfinished_runs",
    "who_began",
]  # fmt: skip
