"""What the alarms and the dashboard look at: CloudWatch's embedded metric format, one log line a request or invocation.

Namespace `OnTask`, dimension `stage`. On one machine and in tests nothing is written, unless somebody listens.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from chalicelib import logs
from chalicelib.settings import settings

NAMESPACE = "OnTask"
DIMENSION = "stage"


@dataclass(frozen=True)
class Metric:
    """One metric; `unit` is CloudWatch's word. The meaning is its line in `docs/metrics.md`."""

    name: str
    unit: str
    meaning: str


MAILS_SENT = Metric("MailsSent", "Count", "Mails that SES accepted")
OBJECTS_SENT = Metric("ObjectsSent", "Count", "Objects of JSON that other systems accepted")
OBJECTS_FAILED = Metric("ObjectsFailed", "Count", "Objects that other systems refused")
OBJECTS_LATER = Metric("ObjectsLater", "Count", "Objects that other systems wanted later")
OBJECTS_IN_DOUBT = Metric("ObjectsInDoubt", "Count", "Objects of which nobody knows whether they were accepted")
MAILS_FAILED = Metric("MailsFailed", "Count", "Mails that SES refused for good, or that could not be written")
MAILS_NOT_TAKEN = Metric("MailsNotTaken", "Count", "Mails that SES did not take now; they are sent later")
MAILS_IN_DOUBT = Metric("MailsInDoubt", "Count", "Mails of which nobody can say yet whether SES took them")
MAILS_UNKNOWN = Metric("MailsUnknown", "Count", "Mails in doubt that nothing settled: the instructor has to decide")
MAILS_DELIVERED = Metric("MailsDelivered", "Count", "Mails that the recipient's server took")
MAILS_BOUNCED = Metric("MailsBounced", "Count", "Mails that came back")
MAILS_COMPLAINED = Metric("MailsComplained", "Count", "Mails that recipients marked as unwanted")
LANES_CLOSED = Metric("LanesClosed", "Count", "Times that SES refused all mail: paused, quota used up, not verified")
LATENESS = Metric("LatenessSeconds", "Seconds", "From the moment a job or a run was due until it was done or begun")
JOBS_DONE = Metric("JobsDone", "Count", "Jobs that came to an end")
JOBS_FAILED = Metric("JobsFailed", "Count", "Jobs that ended with an error somebody has to read")
JOBS_BROKEN = Metric("JobsBroken", "Count", "Jobs that stopped unexpectedly; they are tried again")
DEAD_LETTERS = Metric("DeadLetters", "Count", "Queue messages that failed too often and were set aside")
REQUEST_DURATION = Metric("RequestDuration", "Milliseconds", "From a request's arrival until its answer")
SERVER_ERRORS = Metric("ServerErrors", "Count", "Requests answered by 500; 0 for every other request")
DATABASE_WAITS = Metric("DatabaseWaits", "Count", "Connections that failed because the database was asleep or full")
NAMES_WITHOUT_PROOF = Metric(
    "NamesWithoutProof", "Count", "Requests that told who is signed in without the front end's secret"
)

ALL = tuple(value for value in globals().values() if isinstance(value, Metric))

Listener = Callable[[dict[str, Any]], None]
_listener: Listener | None = None


def listen(listener: Listener | None) -> None:
    """Hand every line to `listener` instead of writing it; None goes back to the settings. For tests and tools."""
    global _listener
    _listener = listener


def put(values: Mapping[Metric, float], **about: Any) -> None:
    """Write the values that were measured, as one line; `about` is kept beside them in the log and never counted."""
    if _listener is None and settings().is_local:
        return
    from aws_lambda_powertools.metrics import EphemeralMetrics

    line = EphemeralMetrics(namespace=NAMESPACE)
    line.add_dimension(DIMENSION, settings().ontask_stage)
    for metric, value in values.items():
        line.add_metric(metric.name, metric.unit, value)
    for name, fact in {logs.KEY: logs.correlation_id(), **about}.items():
        line.add_metadata(name, fact)
    (_listener or _write)({**line.serialize_metric_set()})


def _write(line: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(line, separators=(",", ":")) + "\n")
    sys.stdout.flush()
