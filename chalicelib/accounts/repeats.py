"""Requests that may be sent twice: the first one's answer is kept under a key that the program chose."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from sqlalchemy import delete, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from chalicelib import clock, errors
from chalicelib.accounts.models import SavedAnswer
from chalicelib.web.responses import Answer

KEPT = timedelta(days=1)
MAX_KEY_LENGTH = 200


def once(session: Session, user_id: int, key: str, asked: Any, work: Callable[[], Answer]) -> Answer:
    """Do `work` and keep its answer under the key, or return the one that is kept.

    Whoever comes while the first one is at work waits for it. An answer of 400 or more is not kept: its transaction is
    rolled back, and sending it again tries again. Raises errors.Invalid when the key was used for something else.
    """
    if len(key) > MAX_KEY_LENGTH:
        raise errors.Invalid(f"An Idempotency-Key has at most {MAX_KEY_LENGTH} characters.")
    request_hash = hashlib.sha256(json.dumps(asked).encode()).hexdigest()
    session.execute(
        delete(SavedAnswer).where(
            SavedAnswer.user_id == user_id, SavedAnswer.key == key, SavedAnswer.created_at < clock.now() - KEPT
        )
    )
    mine = insert(SavedAnswer).values(
        user_id=user_id, key=key, request_hash=request_hash, status=0, headers={}, body="", created_at=clock.now()
    )
    if session.scalar(mine.on_conflict_do_nothing().returning(SavedAnswer.user_id)) is None:
        return _kept(session, user_id, key, request_hash)
    answer = work()
    values = {"status": answer.status, "headers": answer.headers, "body": str(answer.body)}
    mine_now = (SavedAnswer.user_id == user_id) & (SavedAnswer.key == key)
    session.execute(update(SavedAnswer).where(mine_now).values(values))
    return answer


def _kept(session: Session, user_id: int, key: str, request_hash: str) -> Answer:
    kept = session.get_one(SavedAnswer, (user_id, key))
    if kept.request_hash != request_hash:
        raise errors.Invalid("This Idempotency-Key was used for another request. Choose a new one for each.")
    return Answer(status=kept.status, headers={**kept.headers, "Idempotent-Replayed": "true"}, body=kept.body)


def forget_old(session: Session) -> None:
    """Delete the answers that are not given any more."""
    session.execute(delete(SavedAnswer).where(SavedAnswer.created_at < clock.now() - KEPT))
