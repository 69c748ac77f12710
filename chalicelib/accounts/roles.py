"""Who may do what: the one table of roles, read by every route's declaration."""

from __future__ import annotations

from enum import StrEnum


class Role(StrEnum):
    """In the installation."""

    LEARNER = "learner"
    INSTRUCTOR = "instructor"
    SUPPORT = "support"
    ADMIN = "admin"


class WorkflowRole(StrEnum):
    """In one workflow, each one may do all that those before it may."""

    VIEWER = "viewer"
    EDITOR = "editor"
    SENDER = "sender"
    OWNER = "owner"

    def covers(self, needed: WorkflowRole) -> bool:
        """Tell whether somebody with this role may do what asks for `needed`."""
        order = list(WorkflowRole)
        return order.index(self) >= order.index(needed)


#: The installation roles that may use the instructors' pages at all.
STAFF = frozenset({Role.INSTRUCTOR, Role.ADMIN})
