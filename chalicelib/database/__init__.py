"""The engine, the session scope and the base of all models."""

from chalicelib.database.base import Base, TimeStamp
from chalicelib.database.engine import dispose, engine, make, use
from chalicelib.database.scope import after_commit, before_commit, scope

__all__ = ["Base", "TimeStamp", "after_commit", "before_commit", "dispose", "engine", "make", "scope", "use"]
