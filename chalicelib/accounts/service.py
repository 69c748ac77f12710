"""Users: create them, prove who they are, change them. Every way in ends in `user_for`."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Collection
from dataclasses import dataclass
from datetime import timedelta
from zoneinfo import available_timezones

from sqlalchemy import Select, literal, select, text, true
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.orm import Session as Transaction

from chalicelib import clock, errors
from chalicelib.accounts import passwords, personal_links, sessions
from chalicelib.accounts.models import OneTimeLink, User
from chalicelib.accounts.roles import Role
from chalicelib.audit import service as audit

LINK_LIFETIME = timedelta(days=7)


@dataclass(frozen=True)
class PasswordProof:
    """Somebody typed this address and password, from this network address."""

    email: str
    password: str
    address: str


@dataclass(frozen=True)
class LinkProof:
    """Somebody followed a one-time link."""

    token: str


@dataclass(frozen=True)
class LaunchProof:
    """An LMS has signed that this is the address of whoever it sends; `is_instructor`: and they are to be one here."""

    email: str
    name: str
    is_instructor: bool


@dataclass(frozen=True)
class ProxyProof:
    """A front end that has proven itself tells that this is the address of the visitor."""

    email: str


@dataclass(frozen=True)
class MailProof:
    """Somebody followed the personal link of a mail."""

    token: str


Proof = PasswordProof | LinkProof | LaunchProof | ProxyProof | MailProof


def user_for(session: Transaction, proof: Proof) -> User:
    """Turn a proof into a user: the one place that decides who somebody is.

    Raises errors.Invalid when the proof does not hold, errors.Forbidden when the account is closed, errors.Limit after
    too many wrong passwords. The caller commits even then, because wrong passwords are counted.
    """
    if isinstance(proof, LaunchProof):
        return _user_by_launch(session, proof)
    if isinstance(proof, ProxyProof):
        return _user_at(session, proof.email, "", "proxy")
    if isinstance(proof, MailProof):
        return _user_at(session, personal_links.read(proof.token).email, "", "link")
    if isinstance(proof, LinkProof):
        return _user_by_link(session, proof.token)
    return _user_by_password(session, proof)


def _user_by_password(session: Transaction, proof: PasswordProof) -> User:
    email = proof.email.strip().lower()
    passwords.check_brake(session, email, proof.address)
    user = session.scalar(select(User).where(User.email == email, User.is_active))
    if not passwords.verify(user.password_hash if user else None, proof.password) or user is None:
        passwords.note_failure(session, email, proof.address)
        audit.record(session, "sign_in_failed", user_id=user.id if user else None, way="password")
        raise errors.Invalid("The e-mail address or the password is wrong.")
    passwords.forget_failures(session, email)
    audit.record(session, "signed_in", user_id=user.id, way="password")
    return user


def _user_by_launch(session: Transaction, proof: LaunchProof) -> User:
    user = _user_at(session, proof.email, proof.name, "launch")
    if proof.is_instructor and user.role == Role.LEARNER:
        user.role = Role.INSTRUCTOR
        audit.record(session, "became_instructor", user_id=user.id)
    return user


def _user_at(session: Transaction, email: str, name: str, way: str) -> User:
    """Return the user whose address somebody we trust has told; a new learner where it has no account."""
    address = _usable(email)
    new = {"email": address, "name": name, "role": Role.LEARNER, "time_zone": "UTC", "is_active": True}
    made = session.scalar(
        upsert(User).values(**new, created_at=clock.now()).on_conflict_do_nothing().returning(User.id)
    )  # fmt: skip
    user = session.scalars(select(User).where(User.email == address)).one()
    if not user.is_active:
        raise errors.Forbidden("This account is closed.")
    if made:
        audit.record(session, "user_created", user_id=user.id, role=user.role)
    user.name = user.name or name
    audit.record(session, "signed_in", user_id=user.id, way=way)
    return user


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def _user_by_link(session: Transaction, token: str) -> User:
    row = session.execute(
        select(OneTimeLink, User)
        .join(User, User.id == OneTimeLink.user_id)
        .where(OneTimeLink.token_hash == _hash(token), User.is_active)
        .with_for_update(of=OneTimeLink)
    ).one_or_none()
    if row is None or row[0].used_at is not None or row[0].expires_at < clock.now():
        raise errors.Invalid("This link was used already or is too old. Ask your administrator for a new one.")
    return row[1]


def spend_link(session: Transaction, token: str) -> None:
    """Mark the link as used, together with what it was used for."""
    link = session.get_one(OneTimeLink, _hash(token))
    link.used_at = clock.now()


def create_user(session: Transaction, email: str, name: str, role: Role) -> tuple[User, str]:
    """Create a user without a password; return them and the token of a link that lets them set one.

    Raises errors.Invalid for a bad address or one that has an account.
    """
    address = _usable(email)
    if session.scalar(select(User.id).where(User.email == address)):
        raise errors.Invalid("There is an account already.", {"email": f"{address} has an account already."})
    user = User(email=address, name=name.strip(), role=role, time_zone="UTC", is_active=True, created_at=clock.now())
    session.add(user)
    session.flush()
    audit.record(session, "user_created", user_id=user.id, role=role)
    return user, make_link(session, user)


def _usable(email: str) -> str:
    """Return the address as it is stored.

    Raises errors.Invalid when it is none.
    """
    from email_validator import EmailNotValidError, validate_email

    try:
        checked = validate_email(email.strip(), check_deliverability=False, test_environment=True)
    except EmailNotValidError as error:
        raise errors.Invalid("This is not an e-mail address.", {"email": str(error)}) from error
    return checked.normalized.lower()


def make_link(session: Transaction, user: User) -> str:
    """Return the token of a new one-time link for the user, good for a week."""
    token = secrets.token_urlsafe(24)
    now = clock.now()
    session.add(OneTimeLink(token_hash=_hash(token), user_id=user.id, created_at=now, expires_at=now + LINK_LIFETIME))
    session.flush()
    return token


def set_password(session: Transaction, user: User, password: str, *, keep_session: str = "") -> None:
    """Give the user a new password and end their other sessions.

    Raises errors.Invalid when the password is weak.
    """
    user.password_hash = passwords.hash_new(password, user.email, user.name)
    sessions.end_others(session, user.id, keep_session)
    audit.record(session, "password_changed", user_id=user.id)


def find_by_email(session: Transaction, email: str) -> User | None:
    """Return the user with this address."""
    return session.scalar(select(User).where(User.email == email.strip().lower()))


def change_profile(user: User, name: str, time_zone: str) -> None:
    """Change name and time zone.

    Raises errors.Invalid for an unknown time zone or a name over 200 characters.
    """
    if time_zone not in available_timezones():
        raise errors.Invalid("Unknown time zone.", {"time_zone": "Choose one of the list, such as Europe/Madrid."})
    if len(name) > 200:
        raise errors.Invalid("The name is too long.", {"name": "Use at most 200 characters."})
    user.name, user.time_zone = " ".join(name.split()), time_zone


def forget(session: Transaction, addresses: Collection[str]) -> int:
    """Delete the learners' accounts with these addresses that no workflow knows any more; return how many.

    Sessions and links go with them. Accounts of staff stay.
    """
    query = """
        DELETE FROM ontask."user" u WHERE u.email = ANY(:addresses) AND u.role = 'learner'
          AND NOT EXISTS (SELECT FROM ontask.learner l WHERE l.user_id = u.id)
          AND NOT EXISTS (SELECT FROM ontask.member m WHERE m.user_id = u.id)
        RETURNING u.id"""
    return len(session.scalars(text(query), {"addresses": list(addresses)}).all())


def add_learners(session: Transaction, addresses: Select[tuple[str]]) -> int:
    """Make a learner's account for every address that has none, in one statement; return how many.

    The addresses are checked and in lower case. Nobody is mailed, and nobody gets a password.
    """
    now = literal(clock.now(), User.created_at.type)
    found = addresses.distinct().subquery("found")
    rows = select(
        found.c[0], literal(""), literal(Role.LEARNER.value), literal("UTC"), true(), now
    )  # fmt: skip
    names = ["email", "name", "role", "time_zone", "is_active", "created_at"]
    statement = upsert(User).from_select(names, rows, include_defaults=False).on_conflict_do_nothing()
    made = session.execute(statement, execution_options={"synchronize_session": False})
    return int(made.rowcount)  # type: ignore[attr-defined]
