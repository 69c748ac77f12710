"""Send forms that are being filled in: kept as they were typed, found again by a reload, going back, a new visit."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from chalicelib import clock, errors
from chalicelib.delivery import attachments
from chalicelib.delivery.forms import MAX_LEFT_OUT, SendForm, from_values
from chalicelib.delivery.models import RunDraft
from chalicelib.delivery.order import Sendable
from chalicelib.web.request import Values

KEPT = timedelta(days=14)
#: Fields that are no choices of the form; a token is a secret and stored with the action only, encrypted.
_NOT_KEPT = {
    "csrf",
    "csrf_token",
    "draft",
    "token",
    "step",
    "do",
    "expected",
    "find",
    "only",
    "shown",
    "out",
    "after",
    "following",
    "filename",
    "size",
    "key",
    "detach",
}
#: The fields that the second step has: those of the list and those of the receipt.
_OF_LIST = ("also_1", "also_2", "leave_out_bad", "leave_out_duplicates", "typed")
#: Longer texts are nobody's typing.
MAX_LENGTH = 20_000
#: Forms that somebody is offered to go on with.
MAX_OFFERED = 3


def find(session: Session, user_id: int, action_id: int, draft_id: str, *, lock: bool = False) -> RunDraft | None:
    """Return the user's own draft; None when there is none, or not any more."""
    if not draft_id:
        return None
    query = sa.select(RunDraft).where(
        RunDraft.id == draft_id, RunDraft.user_id == user_id, RunDraft.action_id == action_id
    )
    return session.scalar(query.with_for_update() if lock else query)


def get(session: Session, user_id: int, action_id: int, draft_id: str) -> RunDraft:
    """Return the user's own draft, locked.

    Raises errors.NotFound when there is none, or not any more.
    """
    found = find(session, user_id, action_id, draft_id, lock=True)
    if found is None:
        raise errors.NotFound("This form was sent meanwhile, or is not kept any more. Open the send page once more.")
    return found


def save(session: Session, user_id: int, action: Sendable, draft_id: str, sent: Values) -> RunDraft:
    """Keep the fields of a form as they were sent; of the second step only those that it has.

    Raises errors.NotFound when the name is another user's.
    """
    draft = find(session, user_id, action.id, draft_id, lock=True) or _new(session, user_id, action, draft_id)
    if sent.get("step") == "who":
        # A box that is not ticked is not sent.
        draft.fields = draft.fields | {name: _short(sent.all(name)) for name in _OF_LIST}
    else:
        # What only the second step shows stays as it was.
        kept = {name: draft.fields[name] for name in ("also_1", "also_2") if name in draft.fields}
        draft.fields = kept | {name: _short(all_) for name, all_ in sent.lists().items() if name not in _NOT_KEPT}
    draft.updated_at = clock.now()
    return draft


def _short(values: Iterable[str]) -> list[str]:
    return [value[:MAX_LENGTH] for value in values]


def _new(session: Session, user_id: int, action: Sendable, draft_id: str) -> RunDraft:
    now = clock.now()
    values = {
        "id": draft_id, "workflow_id": action.workflow_id, "action_id": action.id, "user_id": user_id, "fields": {},
        "left_out": [], "attached": [], "created_at": now, "updated_at": now,
    }  # fmt: skip
    # The browser may send a form twice at the same moment.
    session.execute(insert(RunDraft).values(values).on_conflict_do_nothing())
    return get(session, user_id, action.id, draft_id)


def form_of(draft: RunDraft) -> SendForm:
    """Return the form that is kept."""
    return from_values(Values(draft.fields), draft.id, draft.left_out, attachments.arrived_files(draft))


def begin(session: Session, user_id: int, action: Sendable, form: SendForm) -> RunDraft:
    """Keep a form that says something already: what a schedule does, to change that."""
    texts: dict[str, object] = {
        name: getattr(form, name)
        for name in (
            "to_column_id", "to", "subject", "from_name", "reply_to", "cc", "bcc", "opens_column", "copies", "when",
            "schedule", "stage", "version",
        )
    }  # fmt: skip
    ticks = (
        "exclude", "track_opens", "track_clicks", "leave_out_bad", "leave_out_duplicates", "send_empty", "as_links",
        "wants_snapshot",
    )  # fmt: skip
    draft = _new(session, user_id, action, form.draft)
    draft.fields = {name: ["" if value is None else str(value)] for name, value in texts.items()}
    draft.fields |= {name: ["1"] for name in ticks if getattr(form, name)}
    draft.left_out, draft.attached = sorted(form.left_out), list(form.attached)
    return draft


def leave_out(draft: RunDraft, *, shown: Iterable[str], out: Iterable[str]) -> None:
    """Leave out the values `out`; others of the `shown` ones are not left out any more.

    Raises errors.Invalid when that makes too many.
    """
    chosen = set(out)
    others = (value for value in draft.left_out if value not in set(shown))
    values = list(dict.fromkeys([*others, *chosen]))
    if len(values) > MAX_LEFT_OUT:
        raise errors.Invalid(f"At most {MAX_LEFT_OUT:,} values can be left out; use the filter for more.")
    draft.left_out = sorted(values)


def unfinished(session: Session, user_id: int, action_id: int) -> list[RunDraft]:
    """Return the user's own drafts of an action, the latest first; none of those that change a schedule."""
    query = sa.select(RunDraft).where(RunDraft.user_id == user_id, RunDraft.action_id == action_id)
    query = query.where(sa.not_(RunDraft.fields.has_key("schedule")))
    return list(session.scalars(query.order_by(RunDraft.updated_at.desc()).limit(MAX_OFFERED)))


def drop(session: Session, draft: RunDraft) -> None:
    """Forget a draft: it was sent, or nobody wants it."""
    session.execute(sa.delete(RunDraft).where(RunDraft.id == draft.id))


def forget_old(session: Session) -> None:
    """Forget the drafts that nobody has touched for two weeks."""
    session.execute(sa.delete(RunDraft).where(RunDraft.updated_at < clock.now() - KEPT))
