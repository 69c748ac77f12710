"""What states, reasons and durations are called on the pages."""

from __future__ import annotations

from chalicelib.delivery import models
from chalicelib.web.templates import plural

#: The state of a run: its name and the colour of its pill.
RUN_STATES: dict[str, tuple[str, str]] = {
    models.SCHEDULED: ("Scheduled", ""),
    models.HELD: ("About to start", ""),
    models.RUNNING: ("Sending", "good"),
    models.PAUSED: ("Paused", "warn"),
    models.DONE: ("Finished", "good"),
    models.CANCELLED: ("Cancelled", "warn"),
    models.FAILED: ("Failed", "bad"),
}


def run_state(state: str, errors: int) -> tuple[str, str]:
    """Return the name and colour of a run's state; `errors` messages did not reach anybody, as far as is known."""
    return ("Finished with errors", "warn") if state == models.DONE and errors else RUN_STATES[state]


#: The state of one mail: its name, the colour of its pill, and what it means.
MESSAGE_STATES: dict[str, tuple[str, str, str]] = {
    models.HELD: ("Waiting", "", "The time to undo is not over."),
    models.QUEUED: ("Queued", "", "Waits for its turn."),
    models.WAITING: ("Wanted later", "", "The mail server did not take it just now; it is tried again after a pause."),
    models.SENDING: ("Sending", "", "Is being handed to the mail service."),
    models.SENT: ("Sent", "", "The mail service has accepted it; the learner's mail provider has not answered yet."),
    models.DELIVERED: ("Delivered", "good", "The learner's mail provider has accepted it."),
    models.BOUNCED: ("Bounced", "bad", "The learner's mail provider has refused it."),
    models.COMPLAINED: ("Marked as spam", "bad", "The learner has marked it as unwanted; they get no more mail."),
    models.FAILED: ("Failed", "bad", "The mail service has refused it."),
    models.UNKNOWN: ("In doubt", "warn", "The connection broke while it was handed over. Nobody knows if it was sent."),
    models.SKIPPED: ("Left out", "", "No mail was made for this learner."),
    models.CANCELLED: ("Cancelled", "", "The run was stopped before its turn."),
}

#: The state of one object of JSON.
OBJECT_STATES: dict[str, tuple[str, str, str]] = {
    models.HELD: ("Waiting", "", "The time to undo is not over."),
    models.QUEUED: ("Queued", "", "Waits for its turn."),
    models.WAITING: ("Wanted later", "", "The other system did not take it just now; it is sent again after a pause."),
    models.SENDING: ("Sending", "", "Is being sent to the other system."),
    models.SENT: ("Sent", "good", "The other system has accepted it."),
    models.FAILED: ("Failed", "bad", "The other system has refused it, or it could not be made."),
    models.UNKNOWN: ("In doubt", "warn", "No answer came. Nobody knows if the other system has it."),
    models.SKIPPED: ("Left out", "", "No object was made for this learner."),
    models.CANCELLED: ("Cancelled", "", "The run was stopped before its turn."),
}


def states_of(run: models.Run) -> dict[str, tuple[str, str, str]]:
    """Return what the states of the run's messages are called."""
    return OBJECT_STATES if run.lane.startswith(models.PUSH) else MESSAGE_STATES


#: Why a learner gets no mail.
REASONS: dict[str, str] = {
    models.EMPTY: "no address",
    models.BAD: "the address cannot be right",
    models.DUPLICATE: "same address and same text as another learner",
    models.SUPPRESSED: "gets no more mail: an earlier one bounced, was marked as spam, or they unsubscribed",
    models.EXCLUDED: "left out by you",
    models.NOBODY: "it was about nobody, and you chose not to send it then",
}

#: The same after a number, in the receipt.
COUNTED: dict[str, str] = {
    models.EMPTY: "without an address",
    models.BAD: "with an address that cannot be right",
    models.DUPLICATE: "with the same address and the same text as another learner",
    models.SUPPRESSED: "who get no more mail: it bounced, was marked as spam, or they unsubscribed",
    models.EXCLUDED: "left out by you",
}


def reason(text: str) -> str:
    """Say why a mail was not made or did not arrive; what the mail service wrote stays as it is."""
    return REASONS.get(text, text)


def spoken(seconds: float) -> str:
    """Say how long something takes: `less than a minute`, `about 3 hours`."""
    if seconds < 50:
        return "less than a minute"
    for size, unit, limit in ((60, "minute", 5400), (3600, "hour", 36 * 3600)):
        if seconds < limit:
            return "about " + plural(round(seconds / size), unit)
    return "about " + plural(round(seconds / 86400), "day")
