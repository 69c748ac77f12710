"""Every event that the code writes down has words for the pages."""

from __future__ import annotations

import re
from pathlib import Path

from chalicelib.audit.words import WORDS, said

SOURCES = Path(__file__).parent.parent.parent / "chalicelib"
SUBJECTS = (
    "archive|link|schedule|workflow|data|cell|row|rows|view|column|action|condition|question|run|message|messages"
    "|user|password"
)
EVENT = re.compile(rf'"((?:{SUBJECTS})_[a-z]+(?:_[a-z]+)*|signed_in|unsubscribed)"')


def recorded() -> set[str]:
    """The types in calls of `record`, `_record` and what is like them."""
    found: set[str] = set()
    for path in SOURCES.rglob("*.py"):
        for call in re.finditer(r"\b_?record\((.*?)(?:\n\s*\)|\)\n)", path.read_text(), re.DOTALL):
            found |= set(EVENT.findall(call[1]))
    return found


def test_every_event_has_words() -> None:
    assert {"workflow_created", "action_filter_removed", "condition_changed", "run_paused"} <= recorded()
    assert recorded() - set(WORDS) == set()


def test_an_event_without_words_is_said_by_its_type() -> None:
    assert said("comet_seen") == "comet seen"
