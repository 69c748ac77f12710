"""What may come once only: nonces of launches, tokens that hand a visit over."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import delete
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session as Transaction

from chalicelib import clock, signing
from chalicelib.accounts.models import UsedOnce


def use(session: Transaction, purpose: str, value: str, expires_at: datetime) -> bool:
    """Note that `value` was used; False when it was before. It is forgotten some time after `expires_at`.

    Of two at once the second waits for the first one's commit and is told that it is the second.
    """
    statement = (
        insert(UsedOnce)
        .values(key=signing.digest(f"once {purpose}", value), expires_at=expires_at)
        .on_conflict_do_nothing()
        .returning(UsedOnce.key)
    )
    return session.scalar(statement) is not None


def forget_old(session: Transaction) -> None:
    """Delete what would be refused anyway for its age."""
    session.execute(delete(UsedOnce).where(UsedOnce.expires_at < clock.now()))
