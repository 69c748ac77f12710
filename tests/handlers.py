"""Every function without a page, with an event as Lambda hands it over."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import app
from local.workers import daily_event

SECONDS = 300.0


class Context:
    """What Lambda tells about an invocation."""

    def __init__(self, seconds: float = SECONDS) -> None:
        self._seconds = seconds

    def get_remaining_time_in_millis(self) -> int:
        """Return the milliseconds left."""
        return int(self._seconds * 1000)


def batch(*bodies: Any) -> dict[str, Any]:
    """An event of SQS; a body is text or becomes JSON."""
    return {
        "Records": [
            {
                "messageId": f"m{number}",
                "receiptHandle": "r",
                "body": body if isinstance(body, str) else json.dumps(body),
            }
            for number, body in enumerate(bodies)
        ]
    }


ALL_BACK = {"batchItemFailures": [{"itemIdentifier": "m0"}, {"itemIdentifier": "m1"}]}

#: Handlers of queues, each with two records.
BATCHES: dict[str, Callable[[Context], Any]] = {
    "work_job": lambda context: app.work_job(batch({"job": 1}, {"job": 2}), context),
    "send_batch": lambda context: app.send_batch(batch({"lane": "ses"}, {"lane": "ses"}), context),
    "record_events": lambda context: app.record_events(batch({"hit": "open", "message": 1, "at": "2026-03-02T12:00Z"},
                                                             {"hit": "open", "message": 2, "at": "2026-03-02T12:00Z"}),
                                                       context),
}  # fmt: skip
#: Handlers of alarms and rules.
MOMENTS: dict[str, Callable[[Context], Any]] = {
    "run_due": lambda context: app.run_due({"due": "20260302T1200"}, context),
    "tidy": lambda context: app.tidy(daily_event(), context),
}
