"""The text of the mail about ended sendings, asking for one, and writing it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import select, text
from sqlalchemy.orm import Session

from chalicelib import clock, errors
from chalicelib.actions import html
from chalicelib.actions.language import TemplateError, ids_to_names, names_to_ids
from chalicelib.audit import service as audit
from chalicelib.delivery import sources
from chalicelib.delivery.models import Run
from chalicelib.delivery.notices import words
from chalicelib.delivery.notices.models import NoticeText
from chalicelib.delivery.order import MAX_SUBJECT_LENGTH
from chalicelib.delivery.plain import plain_source, tidy
from chalicelib.delivery.render import Rendered
from chalicelib.schedules import service as schedules
from chalicelib.web.urls import absolute_url_for

NOTICE = "delivery.notice"
MAX_FROM_NAME, MAX_TEXT = 64, 20_000
#: What the language says of an unknown name in a message to learners.
_OF_MESSAGES = "There is no column, attribute or condition"


@dataclass(frozen=True)
class Wording:
    """Sender's name, subject and HTML; stored, or as people see them."""

    from_name: str = words.FROM_NAME
    subject: str = words.SUBJECT
    text: str = words.TEXT

    def shown(self) -> Wording:
        """Return it with names."""
        known = words.names()
        return Wording(
            self.from_name, ids_to_names(self.subject, known, "text"), ids_to_names(self.text, known)
        )  # fmt: skip


def stored(session: Session) -> Wording:
    """Return the wording that counts."""
    found = session.scalar(select(NoticeText).order_by(NoticeText.id.desc()).limit(1))
    return Wording(found.from_name, found.subject, found.text) if found is not None else Wording()


def save(session: Session, user_id: int, typed: Wording) -> None:
    """Have mails written like this from now on.

    Raises errors.Invalid for each field with a mistake; the mail of a made-up sending is written to be sure.
    """
    checked = check(typed)
    if checked == stored(session):
        return
    session.add(NoticeText(**vars(checked), user_id=user_id, saved_at=clock.now()))
    audit.record(session, "notice_text_changed", user_id=user_id)


def check(typed: Wording) -> Wording:
    """Return a wording as it is stored; raises as `save` does."""
    problems: dict[str, str] = {}
    known = words.names()
    from_name, subject = " ".join(typed.from_name.split()), " ".join(typed.subject.split())
    body, _ = html.clean(typed.text)
    if not from_name or len(from_name) > MAX_FROM_NAME:
        problems["from_name"] = f"Type a name of at most {MAX_FROM_NAME} characters."
    if not subject or len(subject) > MAX_SUBJECT_LENGTH:
        problems["subject"] = f"Type a subject of at most {MAX_SUBJECT_LENGTH:,} characters."
    if not plain_source(body) or len(body) > MAX_TEXT:
        problems["text"] = f"Write a text of at most {MAX_TEXT:,} characters."
    made = {}
    for name, source, output in (("subject", subject, "text"), ("text", body, "html")):
        try:
            made[name] = names_to_ids(source, known, output)  # type: ignore[arg-type]
        except TemplateError as error:
            problems.setdefault(name, error.fields["text"].replace(_OF_MESSAGES, "There is no value or test called"))
    if problems:
        raise errors.Invalid("The mail can't be written like this.", problems)
    wording = Wording(from_name, made["subject"], made["text"])
    try:
        write(wording, sample(), "UTC")
    except errors.Invalid as error:
        raise errors.Invalid("The mail can't be written like this.", {"text": error.message}) from error
    return wording


def write(wording: Wording, values: dict[str, Any], time_zone: str) -> Rendered:
    """Return the mail.

    Raises errors.Invalid when it can't be made of these values.
    """
    from chalicelib.actions.language.compile import compile_template

    subject = compile_template(wording.subject, "text", time_zone=time_zone).render(values)
    shown = compile_template(wording.text, "html", time_zone=time_zone).render(values)
    plain = compile_template(plain_source(wording.text), "text", time_zone=time_zone).render(values)
    return Rendered(" ".join(subject.split()), shown, tidy(plain))


def sample() -> dict[str, Any]:
    """Return the values of a made-up sending."""
    return _values(
        "Ines Pérez", "ines@uni.example", "Week 3", "Biology 101", "Your week, {{ name }}", 240, 2, 5, 1, clock.now(),
        400, 245, absolute_url_for("workflows.list_workflows"), is_filtered=True,
    )  # fmt: skip


def _values(*values: Any, is_filtered: bool) -> dict[str, Any]:
    return {**{f"c{key}": value for key, value in enumerate(values, 1)}, "k1": is_filtered}


_ASK = text("""
    UPDATE ontask.run SET noticed_at = :now
    WHERE wants_notice AND noticed_at IS NULL AND state = 'done' RETURNING id, workflow_id
""")


def ask(session: Session) -> None:
    """Have the mails sent for runs that have ended, each once."""
    for run_id, workflow_id in session.execute(_ASK, {"now": clock.now()}).all():
        schedules.enqueue(session, NOTICE, {"run": run_id}, workflow_id=workflow_id)


@dataclass(frozen=True)
class Addressed:
    """A mail about an ended run, and who gets it."""

    to: str
    from_name: str
    mail: Rendered


_COUNTS = text("""
    SELECT u.name, u.email, u.time_zone, w.name AS workflow, w.row_count,
           count(m.id) AS chosen,
           count(m.id) FILTER (WHERE m.state IN ('failed', 'bounced')) AS failed,
           count(m.id) FILTER (WHERE m.state = 'skipped') AS skipped,
           count(m.id) FILTER (WHERE m.state = 'unknown') AS unknown
    FROM ontask.run r JOIN ontask.workflow w ON w.id = r.workflow_id JOIN ontask."user" u ON u.id = r.user_id
    LEFT JOIN ontask.message m ON m.run_id = r.id
    WHERE r.id = :run AND u.is_active GROUP BY u.id, w.id
""")


def about(session: Session, run: Run) -> Addressed | None:
    """Return the mail about a run; None when whoever sent it has no account any more.

    Raises errors.Invalid when it can't be written.
    """
    found = session.execute(_COUNTS, {"run": run.id}).one_or_none()
    if found is None:
        return None
    action = sources.action_name(session, run.action_id)
    subject = ids_to_names(run.subject, sources.read(session, run.workflow_id, run.action_id).names, "text")
    link = absolute_url_for("delivery.show_run", workflow_id=run.workflow_id, run_id=run.id)
    began: datetime = run.started_at or run.created_at
    values = _values(
        found.name, found.email, action, found.workflow, subject, run.planned, found.failed, found.skipped,
        found.unknown, began, found.row_count, found.chosen, link, is_filtered=bool(run.filter),
    )  # fmt: skip
    wording = stored(session)
    return Addressed(found.email, wording.from_name, write(wording, values, found.time_zone))


def record(session: Session, event_type: str, run: Run, reason: str = "") -> None:
    """Note in the log what became of the mail."""
    audit.record(
        session, event_type, workflow_id=run.workflow_id, user_id=run.user_id, action_id=run.action_id, run_id=run.id,
        reason=reason,
    )  # fmt: skip
