"""Passwords: Argon2id hashes, rules for new ones, and the brake on guessing."""

from __future__ import annotations

from datetime import timedelta
from functools import cache

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from sqlalchemy import delete, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session as Transaction

from chalicelib import clock, errors, signing
from chalicelib.accounts.models import FailedSignIn

MIN_LENGTH = 12
MAX_LENGTH = 200

#: OWASP Password Storage Cheat Sheet, Argon2id: 19 MiB, 2 passes, 1 lane; 34 ms, and fits a small function.
_hasher = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)

#: Wrong passwords in a row before waiting begins. An address may be a whole campus behind one router.
FREE_TRIES = {"account": 5, "address": 30}
LONGEST_WAIT = timedelta(minutes=15)
FORGET_AFTER = timedelta(days=1)


@cache
def _nobodys_hash() -> str:
    return _hasher.hash("nobody has this password")


def hash_new(password: str, email: str, name: str = "") -> str:
    """Check a new password and return its hash.

    Raises errors.Invalid when it is too short, too long, or built from the person's own name or address.
    """
    if len(password) < MIN_LENGTH:
        raise _refused(f"Use at least {MIN_LENGTH} characters; a short sentence is easy to remember.")
    if len(password) > MAX_LENGTH:
        raise _refused(f"Use at most {MAX_LENGTH} characters.")
    parts = [part for part in (email.split("@", maxsplit=1)[0], name.replace(" ", "")) if len(part) > 3]
    if len(set(password)) < 5 or any(part.lower() in password.lower() for part in parts):
        raise _refused("This is easy to guess: leave out your name and repeated letters.")
    return _hasher.hash(password)


def _refused(message: str) -> errors.Invalid:
    return errors.Invalid("Please choose another password.", {"password": message})


def verify(password_hash: str | None, password: str) -> bool:
    """Tell whether the password is right; takes as long for an account that does not exist."""
    try:
        return _hasher.verify(password_hash or _nobodys_hash(), password[:MAX_LENGTH]) and password_hash is not None
    except (VerificationError, InvalidHashError):
        return False


def _key(kind: str, value: str) -> str:
    return signing.digest(f"failed sign-in of {kind}", value.lower())


def check_brake(session: Transaction, email: str, address: str) -> None:
    """Raise errors.Limit while the account or the network address has to wait."""
    keys = [_key("account", email), _key("address", address)]
    until = session.scalar(
        select(FailedSignIn.blocked_until)
        .where(FailedSignIn.key.in_(keys), FailedSignIn.blocked_until > clock.now())
        .order_by(FailedSignIn.blocked_until.desc())
        .limit(1)
    )
    if until is not None:
        seconds = max(1, round((until - clock.now()).total_seconds()))
        raise errors.Limit(f"Too many wrong passwords. Please try again in {seconds} s.", retry_after_seconds=seconds)


def note_failure(session: Transaction, email: str, address: str) -> None:
    """Count a wrong password; from the sixth on each doubles the wait, up to 15 minutes."""
    now = clock.now()
    for kind, value in (("account", email), ("address", address)):
        key = _key(kind, value)
        # The row is locked from here to the commit, so that parallel guesses are counted one by one.
        row = session.scalar(
            insert(FailedSignIn)
            .values(key=key, count=0, blocked_until=now, updated_at=now)
            .on_conflict_do_update(index_elements=["key"], set_={"updated_at": FailedSignIn.updated_at})
            .returning(FailedSignIn)
        )
        assert row is not None, "an upsert always returns its row"
        row.count = 1 if now - row.updated_at > FORGET_AFTER else row.count + 1
        over = row.count - FREE_TRIES[kind]
        wait = min(LONGEST_WAIT, timedelta(seconds=2 ** min(over, 20))) if over > 0 else timedelta(0)
        row.blocked_until, row.updated_at = now + wait, now


def forget_failures(session: Transaction, email: str) -> None:
    """Release the account's brake after a right password."""
    session.execute(delete(FailedSignIn).where(FailedSignIn.key == _key("account", email)))


def remove_old_failures(session: Transaction) -> None:
    """Delete counts that no longer matter."""
    session.execute(delete(FailedSignIn).where(FailedSignIn.updated_at < clock.now() - FORGET_AFTER))
