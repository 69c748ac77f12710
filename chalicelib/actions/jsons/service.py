"""Where the JSON of an action goes."""

from __future__ import annotations

from sqlalchemy.orm import Session

from chalicelib import clock, seals
from chalicelib.actions import targets
from chalicelib.actions.models import Action
from chalicelib.actions.targets import Target
from chalicelib.audit import service as audit


def set_target(session: Session, user_id: int, action: Action, target: Target, *, seen: str) -> None:
    """Have the JSON go there; `action` must be locked, `seen` is the seal of what was shown.

    Raises errors.Invalid (fields `url`, `method`, `headers`), seals.Stale when somebody else changed it meanwhile.
    """
    target = targets.check(target)
    who = audit.who_last(session, action.workflow_id, ["target_changed"], action_id=action.id)
    seals.check(seen, shown(action), {"target": target.stored()}, who=who)
    if target.stored() == action.target:
        return
    action.target, action.updated_at = target.stored(), clock.now()
    audit.record(
        session, "target_changed", workflow_id=action.workflow_id, user_id=user_id, action_id=action.id,
        name=action.name, host=target.host,
    )  # fmt: skip


def shown(action: Action) -> dict[str, object]:
    """Return what the form of the target shows."""
    return {"target": Target.of(action.target).stored()}
