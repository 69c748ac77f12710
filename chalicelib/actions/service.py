"""Messages: find, create, rename, copy, delete, restore; their text and their filter. Conditions are beside it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from chalicelib import clock, errors, seals
from chalicelib.actions import html, versions
from chalicelib.actions.kinds import KINDS, Kind, offered
from chalicelib.actions.language import Names, TemplateError, names_to_ids, references, renumber
from chalicelib.actions.language.change import with_default
from chalicelib.actions.models import Action, Condition
from chalicelib.actions.reports import service as reports
from chalicelib.actions.rubrics import service as rubrics
from chalicelib.actions.surveys import service as surveys
from chalicelib.audit import service as audit
from chalicelib.formulas.check import Columns, check
from chalicelib.formulas.words import words
from chalicelib.schedules import needs, plans
from chalicelib.workflows.models import Workflow

MAX_NAME_LENGTH = 1024
MAX_DESCRIPTION_LENGTH = 2048
MAX_DEFAULT_LENGTH = 200
#: Saves come every second while somebody types; the log gets one line for that long.
QUIET = timedelta(minutes=10)
#: So long a deleted action can be taken back.
IN_BIN = timedelta(days=30)
#: So much of a text is quoted where something is wrong with it.
EXCERPT = 60


@dataclass(frozen=True)
class Saved:
    """What became of a saved text: its version, and the HTML elements and attributes that can't be in a mail.

    `note` says what else its author should know.
    """

    version: int
    removed: list[str]
    note: str = ""


def get(session: Session, workflow_id: int, action_id: int, *, in_trash: bool = False, lock: bool = False) -> Action:
    """Return the workflow's message, with `lock` so that nobody else changes it in the meantime.

    Raises errors.NotFound when there is none.
    """
    query = (
        select(Action)
        .where(Action.id == action_id, Action.workflow_id == workflow_id)
        .where(Action.deleted_at > clock.now() - IN_BIN if in_trash else Action.deleted_at.is_(None))
    )
    if lock:
        query = query.with_for_update().execution_options(populate_existing=True)
    action = session.scalar(query)
    if action is None:
        raise errors.NotFound
    return action


def create(
    session: Session, user_id: int, workflow: Workflow, name: str, description: str = "", kind: str = Kind.TEXT
) -> Action:  # fmt: skip
    """Add an empty action.

    Raises errors.Invalid when the name is empty, too long or used by another action of the workflow, or the kind is
    not offered here.
    """
    now = clock.now()
    if kind not in offered():
        raise errors.Invalid("Choose what it should be.", {"kind": "This kind is not offered here. Choose another."})
    name, description = _checked(session, workflow.id, name, description)
    action = Action(
        workflow_id=workflow.id, kind=kind, name=name, description=description, send_defaults={}, created_at=now,
        updated_at=now,
    )  # fmt: skip
    session.add(action)
    session.flush()
    _record(session, "action_created", user_id, action)
    return action


def rename(
    session: Session, user_id: int, action: Action, name: str, description: str, *, seen: str = ""
) -> None:  # fmt: skip
    """Give the message, which must be locked, another name and description; `seen` is the seal of what was shown.

    Raises errors.Invalid as `create` does, seals.Stale when somebody else changed them meanwhile.
    """
    old = action.name
    name, description = _checked(session, action.workflow_id, name, description, but=action.id)
    who = audit.who_last(session, action.workflow_id, ["action_renamed", "action_created"], action_id=action.id)
    seals.check(seen, shown(action), {"name": name, "description": description}, who=who)
    action.name, action.description = name, description
    action.updated_at = clock.now()
    _record(session, "action_renamed", user_id, action, old=old)


def shown(action: Action) -> dict[str, str]:
    """Return what the form of the message's settings shows."""
    return {"name": action.name, "description": action.description}


def copy(session: Session, user_id: int, action: Action) -> Action:
    """Add a copy of the message with its text, filter, conditions, questions, rubric, files and sending choices."""
    now = clock.now()
    twin = Action(
        workflow_id=action.workflow_id, kind=action.kind,
        name=free_name(session, action.workflow_id, f"Copy of {action.name}"), description=action.description,
        text=action.text, filter=action.filter, send_defaults=action.send_defaults, is_shuffled=action.is_shuffled,
        created_at=now, updated_at=now,
    )  # fmt: skip
    session.add(twin)
    session.flush()
    ids: dict[str, str] = {}
    originals = select(Condition).where(Condition.action_id == action.id, Condition.deleted_at.is_(None))
    for condition in session.scalars(originals.order_by(Condition.position, Condition.id)).all():
        made = Condition(
            action_id=twin.id, name=condition.name, description=condition.description, formula=condition.formula,
            position=condition.position, created_at=now,
        )  # fmt: skip
        session.add(made)
        session.flush()
        ids[f"k{condition.id}"] = f"k{made.id}"
    twin.text, twin.target = renumber(action.text, ids, KINDS[Kind(action.kind)].output), action.target
    surveys.copy_all(session, action, twin, {int(old[1:]): int(new[1:]) for old, new in ids.items()})
    rubrics.copy_all(session, action, twin, ids)
    reports.copy_all(session, action, twin)
    if subject := action.send_defaults.get("subject"):
        twin.send_defaults = action.send_defaults | {"subject": renumber(subject, ids, "text")}
    _record(session, "action_copied", user_id, twin, original=action.id, old=action.name)
    return twin


def delete(session: Session, user_id: int, action: Action) -> str:
    """Put the message aside with its schedules; `restore` takes them back. What was sent stays in the activity.

    Return a sentence about the schedules that go, or that rest because it is one of their steps; empty for none.
    """
    action.deleted_at = clock.now()
    _record(session, "action_deleted", user_id, action)
    gone = plans.go_with(session, user_id, action.workflow_id, action.deleted_at, action_id=action.id)
    resting = needs.lose(session, action.workflow_id, {f"m{action.id}"}, _gone(action))
    told = [f"Its schedules {plans.named(gone)} go with it."] if gone else []
    return " ".join(told + ([f"{plans.named(resting)} can’t do without it and rests."] if resting else []))


def _gone(action: Action) -> str:
    return f"“{action.name}”, which it sends, was deleted."


def restore(session: Session, user_id: int, action: Action) -> None:
    """Take a deleted message back with its schedules, under another name when its own is in use by now."""
    needs.regain(session, action.workflow_id, _gone(action))
    plans.come_back(session, user_id, action.workflow_id, action.deleted_at, action_id=action.id)
    if _is_used(session, action.workflow_id, action.name, action.id):
        action.name = free_name(session, action.workflow_id, f"Copy of {action.name}")
    action.deleted_at = None
    _record(session, "action_restored", user_id, action)


def save_text(
    session: Session, user_id: int, action: Action, source: str, version: int, names: Names,
    check: Callable[[str], str] | None = None,
) -> Saved:  # fmt: skip
    """Store the text that people wrote, cleaned, with references by id. `action` must be locked.

    `check` is what its kind asks of a text besides; it returns a note. Raises TemplateError with every mistake and its
    place, what `check` raises, errors.Conflict when another text was saved since `version`; nothing is stored then.
    """
    traits = KINDS[Kind(action.kind)]
    removed: list[str] = []
    cleaned = names_to_ids(source, names, traits.output, traits.allows)
    if traits.output == "html":
        cleaned, removed = _cleaned(cleaned)
    note = check(cleaned) if check is not None and cleaned != action.text else ""
    if cleaned == action.text:
        return Saved(action.version, removed)
    if version != action.version:
        raise errors.Conflict("This text was changed elsewhere while you were writing.")
    now = clock.now()
    if action.version == 1 or now - action.updated_at > QUIET:
        _record(session, "action_text_changed", user_id, action, version=action.version + 1)
    before = action.text
    action.text, action.version, action.updated_at = cleaned, action.version + 1, now
    versions.keep(session, user_id, action, before)
    return Saved(action.version, removed, note)


def _cleaned(stored: str) -> tuple[str, list[str]]:
    cleaned, removed = html.clean(stored)
    try:
        references(cleaned)
    except TemplateError as error:  # cleaning took an element apart that an `if` relied on
        raise errors.Invalid("The text can't be used.", {"text": str(error)}) from error
    if outside := html.displaced(stored):
        message = f"“{outside[:EXCERPT]}” stands in a table but in none of its cells. Put it into a cell."
        raise errors.Invalid("The text can't be used.", {"text": message})
    return cleaned, removed


def restore_text(session: Session, user_id: int, action: Action, version_id: int) -> None:
    """Put an earlier version in the place of the text, which stays a version. `action` must be locked.

    Raises errors.NotFound when the version is not kept any more.
    """
    earlier = versions.get(session, action, version_id)
    if earlier.text == action.text:
        return
    before, now = action.text, clock.now()
    action.text, action.version, action.updated_at = earlier.text, action.version + 1, now
    versions.keep(session, user_id, action, before, apart=True)
    _record(session, "action_text_restored", user_id, action, version=action.version)


def add_default(session: Session, user_id: int, action: Action, column_id: int, words: str) -> None:
    """Have the text write `words` wherever it shows the column, has no default for it and finds no value.

    Raises errors.Invalid when there are no words or too many. `action` must be locked.
    """
    words = " ".join(words.split())
    if not 0 < len(words) <= MAX_DEFAULT_LENGTH:
        raise errors.Invalid("Type the words to write instead.", {"words": f"1 to {MAX_DEFAULT_LENGTH} characters."})
    write(session, user_id, action, with_default(action.text, f"c{column_id}", words, KINDS[Kind(action.kind)].output))


def write(session: Session, user_id: int, action: Action, text: str) -> None:
    """Store a text that was made from the stored one, as a version of its own. `action` must be locked."""
    if text == action.text:
        return
    before = action.text
    action.text, action.version, action.updated_at = text, action.version + 1, clock.now()
    versions.keep(session, user_id, action, before, apart=True)
    _record(session, "action_text_changed", user_id, action, version=action.version)


def use_view(session: Session, user_id: int, action: Action, view_id: int, formula: dict[str, Any]) -> None:
    """Take the filter of a view, checked already, in place of the action's own, and share it from now on."""
    old = action.filter
    action.view_id, action.filter, action.updated_at = view_id, formula, clock.now()
    _record(session, "action_filter_changed", user_id, action, view_id=view_id, old=old, new=formula)


def set_filter(
    session: Session, user_id: int, action: Action, formula: dict[str, Any] | None, columns: Columns, time_zone: str,
    *, seen: str = "",
) -> None:  # fmt: skip
    """Have only those learners get the message for whom the formula holds; None is everybody.

    `seen` is the seal of what was shown. Raises errors.Invalid when the formula can't be used, seals.Stale when
    somebody else changed it meanwhile. `action` must be locked.
    """
    checked = None if formula is None else check(formula, columns, time_zone)
    if checked != action.filter:
        kinds = ["action_filter_changed", "action_filter_removed"]
        who = audit.who_last(session, action.workflow_id, kinds, time_zone=time_zone, action_id=action.id)
        now = {"formula": words(action.filter, columns) or "everybody"}
        seals.check(seen, {"formula": action.filter}, {"formula": checked}, who=who, shown=now)
    old, action.filter, action.updated_at = action.filter, checked, clock.now()
    said = {"old": old, "new": checked, "old_words": words(old, columns), "new_words": words(checked, columns)}
    _record(session, "action_filter_changed" if formula else "action_filter_removed", user_id, action, **said)


def follow_view(session: Session, user_id: int, view_id: int, formula: dict[str, Any] | None) -> None:
    """Give the filter of a view, checked already, to the messages that share it."""
    for action in _sharing(session, view_id):
        if action.filter != formula:
            old, action.filter, action.updated_at = action.filter, formula, clock.now()
            _record(session, "action_filter_changed", user_id, action, view_id=view_id, old=old, new=formula)


def leave_view(session: Session, user_id: int, action: Action) -> None:
    """Keep the filter, but share it with the view no longer."""
    action.view_id, action.updated_at = None, clock.now()
    _record(session, "action_left_view", user_id, action)


def end_view(session: Session, user_id: int, view_id: int) -> None:
    """Let all messages that share the filter of a view keep it for themselves."""
    for action in _sharing(session, view_id):
        leave_view(session, user_id, action)


def _sharing(session: Session, view_id: int) -> list[Action]:
    # Deleted ones too: they come back with the filter that the view has then.
    return list(session.scalars(select(Action).where(Action.view_id == view_id).order_by(Action.id).with_for_update()))


def _record(session: Session, event_type: str, user_id: int, action: Action, **detail: Any) -> None:
    audit.record(
        session, event_type, workflow_id=action.workflow_id, user_id=user_id, action_id=action.id, name=action.name,
        kind=action.kind, **detail,
    )  # fmt: skip


def _checked(session: Session, workflow_id: int, name: str, description: str, but: int = 0) -> tuple[str, str]:
    name, description = " ".join(name.split()), description.strip()
    problems: dict[str, str] = {}
    if not name:
        problems["name"] = "Type a name, such as “Reminder before the midterm”."
    elif len(name) > MAX_NAME_LENGTH:
        problems["name"] = f"Use at most {MAX_NAME_LENGTH:,} characters; this has {len(name):,}."
    elif _is_used(session, workflow_id, name, but):
        problems["name"] = "Another message of this workflow has this name."
    if len(description) > MAX_DESCRIPTION_LENGTH:
        problems["description"] = f"Use at most {MAX_DESCRIPTION_LENGTH:,} characters; this has {len(description):,}."
    if problems:
        raise errors.Invalid(next(iter(problems.values())), problems)
    return name, description


def _is_used(session: Session, workflow_id: int, name: str, but: int = 0) -> bool:
    query = select(Action.id).where(Action.workflow_id == workflow_id, Action.name == name, Action.id != but)
    return session.scalar(query.where(Action.deleted_at.is_(None)).limit(1)) is not None


def free_name(session: Session, workflow_id: int, name: str) -> str:
    """Return the name, with a number when a message of the workflow has it."""
    made = name = name[: MAX_NAME_LENGTH - 8]
    number = 2
    while _is_used(session, workflow_id, made):
        made, number = f"{name} ({number})", number + 1
    return made
