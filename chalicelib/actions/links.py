"""What everybody reads alike in texts: the workflow's attributes, and the links to its pages and forms for learners.

A text refers to a link by its action ("m7"), so that the link follows when it gets another address. Mails put each
learner's own link in its place, by which they come in without a password; elsewhere it is the address for all.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.orm import Session

from chalicelib.actions.kinds import KINDS
from chalicelib.web.urls import absolute_url_for
from chalicelib.workflows.queries import Attribute

_SERVED = [kind.value for kind, traits in KINDS.items() if traits.is_served]
#: For `parameters`; `value` is an attribute's, or the token of a link.
SHARED = """
    SELECT 3 AS part, id AS position, id, name, value, true AS is_on FROM ontask.attribute
    WHERE workflow_id = :workflow_id AND deleted_at IS NULL
    UNION ALL
    SELECT 4, a.id, a.id, a.name, coalesce(s.token, ''), coalesce(s.is_on, false) FROM ontask.action a
    LEFT JOIN ontask.served_link s ON s.action_id = a.id
    WHERE a.workflow_id = :workflow_id AND a.deleted_at IS NULL AND a.kind = ANY(:kinds)
"""
_READ = sa.text(f"SELECT * FROM ({SHARED}) shared ORDER BY part, lower(name), id")  # noqa: S608  all of it is ours


@dataclass(frozen=True)
class Link:
    """The link of an action: `token` is its address, "" while it never had one."""

    id: int
    name: str
    token: str
    is_on: bool

    @property
    def reference(self) -> str:
        """How texts refer to it."""
        return f"m{self.id}"

    @property
    def address(self) -> str:
        """The address for all."""
        return absolute_url_for("actions.show_served", token=self.token) if self.token else ""


@dataclass(frozen=True)
class Shared:
    """The attributes of a workflow and its links for learners."""

    attributes: list[Attribute]
    links: list[Link]

    @property
    def values(self) -> dict[str, str]:
        """What texts show, by reference."""
        attributes = {f"a{one.id}": one.value for one in self.attributes}
        return attributes | {link.reference: link.address for link in self.links}


def read(session: Session, workflow_id: int) -> Shared:
    """Return what the texts of a workflow can show to everybody."""
    rows = session.execute(_READ, parameters(workflow_id)).all()
    return Shared(
        [Attribute(row.id, row.name, row.value) for row in rows if row.part == 3],
        [Link(row.id, row.name, row.value, row.is_on) for row in rows if row.part == 4],
    )


def parameters(workflow_id: int) -> dict[str, object]:
    """Return what has to be bound in SHARED."""
    return {"workflow_id": workflow_id, "kinds": _SERVED}


def closed(links: Iterable[Link], used: Iterable[str]) -> str:
    """Say which of the links that a text uses lead nowhere, because they are off; nothing when all work."""
    used = set(used)
    names = [f"“{link.name}”" for link in links if link.reference in used and not link.is_on]
    return f"The text leads to {' and '.join(names)}, whose link for learners is off. Switch it on." if names else ""
