"""What is open to a learner in all workflows. Domains that serve something add a source."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import groupby

from sqlalchemy.orm import Session as Transaction


@dataclass(frozen=True)
class Offer:
    """A line of a learner's home page; `note` says what else matters, such as until when it is open.

    `parts` are what is still to be done in it, with a word on when.
    """

    workflow_name: str
    name: str
    url: str
    note: str = ""
    parts: tuple[tuple[str, str], ...] = ()


Source = Callable[[Transaction, int], list[Offer]]

#: Each returns what is open to the user with this id. The modules of routes add theirs when they are loaded.
SOURCES: list[Source] = []


def open_to(session: Transaction, user_id: int) -> list[tuple[str, list[Offer]]]:
    """Return what is open to the user, by the names of the workflows."""
    offers = [offer for source in SOURCES for offer in source(session, user_id)]
    offers.sort(key=lambda offer: (offer.workflow_name.casefold(), offer.workflow_name, offer.name.casefold()))
    return [(name, list(group)) for name, group in groupby(offers, key=lambda offer: offer.workflow_name)]
