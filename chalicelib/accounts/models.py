"""Who may come in: users, their sessions, one-time links, and the brake on wrong passwords."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, UniqueConstraint, false
from sqlalchemy.orm import Mapped, mapped_column

from chalicelib.database import Base
from chalicelib.database.base import Id


class User(Base):
    """A person. The address is kept in lower case; `role` is a value of `accounts.roles.Role`."""

    __tablename__ = "user"
    __table_args__ = (CheckConstraint("email = lower(email)", name="email_is_lower_case"),)

    id: Mapped[Id]
    email: Mapped[str] = mapped_column(unique=True)
    name: Mapped[str] = mapped_column(default="")
    role: Mapped[str]
    password_hash: Mapped[str | None]
    time_zone: Mapped[str] = mapped_column(default="UTC")
    is_active: Mapped[bool] = mapped_column(default=True)
    created_at: Mapped[datetime]
    signed_in_at: Mapped[datetime | None]


class Session(Base):
    """A signed-in browser. The cookie carries the id; ending the row ends the session everywhere.

    `kind` is a value of `accounts.sessions.Kind`. `is_learner`: it has the rights of a learner, whatever the account
    may do; `only_path`: and opens nothing but this address and what is below it. `is_remembered`: it ends at its time,
    used or not.
    """

    __tablename__ = "session"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("user.id", ondelete="CASCADE"), index=True)
    kind: Mapped[str] = mapped_column(default="sign-in", server_default="sign-in")
    is_learner: Mapped[bool] = mapped_column(default=False, server_default=false())
    is_remembered: Mapped[bool] = mapped_column(default=False, server_default=false())
    only_path: Mapped[str | None]
    agent: Mapped[str] = mapped_column(default="")
    created_at: Mapped[datetime]
    seen_at: Mapped[datetime]
    expires_at: Mapped[datetime]


class Launch(Base):
    """What an LMS told when it sent somebody here, by its own name of the place they came from; the newest of each."""

    __tablename__ = "launch"
    __table_args__ = (UniqueConstraint("session_id", "resource_link_id"),)

    id: Mapped[Id]
    session_id: Mapped[UUID] = mapped_column(ForeignKey("session.id", ondelete="CASCADE"))
    resource_link_id: Mapped[str]
    consumer_key: Mapped[str]
    fields: Mapped[dict[str, Any]]
    received_at: Mapped[datetime]


class UsedOnce(Base):
    """What may not come a second time, such as the nonce of a launch; only a hash, until it would be refused anyway."""

    __tablename__ = "used_once"

    key: Mapped[str] = mapped_column(primary_key=True)
    expires_at: Mapped[datetime] = mapped_column(index=True)


class OneTimeLink(Base):
    """A link that proves who follows it, once; only the token's SHA-256 is kept."""

    __tablename__ = "one_time_link"

    token_hash: Mapped[str] = mapped_column(primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("user.id", ondelete="CASCADE"), index=True)
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    used_at: Mapped[datetime | None]


class FailedSignIn(Base):
    """Wrong passwords in a row, per account and per network address; `key` is a hash of either."""

    __tablename__ = "failed_sign_in"

    key: Mapped[str] = mapped_column(primary_key=True)
    count: Mapped[int]
    blocked_until: Mapped[datetime]
    updated_at: Mapped[datetime]


class ApiToken(Base):
    """What a program of a person shows instead of a password; only the token's SHA-256 is kept.

    `scope` is a value of `accounts.tokens.Scope`.
    """

    __tablename__ = "api_token"

    id: Mapped[Id]
    user_id: Mapped[int] = mapped_column(ForeignKey("user.id", ondelete="CASCADE"), index=True)
    name: Mapped[str]
    scope: Mapped[str]
    token_hash: Mapped[str] = mapped_column(unique=True)
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime | None]
    used_at: Mapped[datetime | None]


class SavedAnswer(Base):
    """What a program was told when it sent something under a key of its own, so that sending it again is harmless.

    `request_hash` is of all that was asked; `status` is 0 while that is being done.
    """

    __tablename__ = "saved_answer"

    user_id: Mapped[int] = mapped_column(ForeignKey("user.id", ondelete="CASCADE"), primary_key=True)
    key: Mapped[str] = mapped_column(primary_key=True)
    request_hash: Mapped[str]
    status: Mapped[int] = mapped_column(default=0)
    headers: Mapped[dict[str, Any]] = mapped_column(default=dict)
    body: Mapped[str] = mapped_column(default="")
    created_at: Mapped[datetime] = mapped_column(index=True)
