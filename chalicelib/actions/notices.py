"""What deserves a look before an action reaches anybody, in words: the band above its text."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from chalicelib.actions import links
from chalicelib.actions.editor import ConditionLine, Editor
from chalicelib.actions.kinds import KINDS, SWITCHED_OFF, Channel, Kind, offered

#: So many names are said; the rest is counted.
_NAMED = 4
_MUTE_PICTURE = re.compile(r'<img\b(?![^>]*\balt="[^"]+")[^>]*>')


@dataclass(frozen=True)
class Notice:
    """One thing; `about` says where it is put right: "filter", "none", "missing" (of a column), or nowhere special."""

    words: str
    about: str = ""
    column_id: int | None = None
    is_grave: bool = False


def of(editor: Editor) -> list[Notice]:
    """Return what is wrong, and what only looks as if it were, the worst first."""
    found = list(_notices(editor))
    return sorted(found, key=lambda one: not one.is_grave)


def _notices(editor: Editor) -> Iterator[Notice]:
    who = editor.who
    if editor.workflow.row_count is None:
        return
    is_form = KINDS[Kind(editor.action.kind)].channel is Channel.FORM
    if who.problem:
        words = (
            f"The rules for who gets it can’t be used any more: {who.problem} Nobody gets it until they are repaired."
        )
        yield Notice(words, "filter", is_grave=True)
    if editor.action.kind not in offered() and not is_form:
        yield Notice(SWITCHED_OFF, is_grave=True)
    if editor.trouble:
        yield Notice(editor.trouble, is_grave=True)
    if closed := links.closed(editor.shared.links, editor.used):
        yield Notice(closed, is_grave=True)
    unused = [one for one in who.conditions if not one.is_used and not one.problem]
    if unused:
        where = "a question" if is_form else "the text"
        yield Notice(f"{_named(unused)} {'are' if len(unused) > 1 else 'is'} not used in {where}.")
    if mute := len(_MUTE_PICTURE.findall(editor.action.text)):
        several = f"{mute} pictures have" if mute > 1 else "A picture has"
        yield Notice(f"{several} no words for those who don’t see them.")
    if who.counts is None:
        return
    selected = who.counts.selected
    if not selected:
        yield Notice("Nobody gets it: the rules let no learner through.", "filter", is_grave=True)
        return
    for words, count in (("nobody", 0), ("everybody", selected)):
        if alike := [one for one in who.conditions if one.count == count]:
            yield Notice(f"{_named(alike)} {'hold' if len(alike) > 1 else 'holds'} for {words}.")
    if who.counts.none and not is_form:
        words = f"None of the conditions holds for {who.counts.none:,} of {selected:,} learners"
        yield Notice(f"{words}: they get only what you wrote for everybody.", "none")
    yield from _missing(editor, selected)


def _missing(editor: Editor, selected: int) -> Iterator[Notice]:
    missing = editor.coverage.missing if editor.coverage else {}
    for reference, count in sorted(missing.items(), key=lambda item: -item[1]):
        name = editor.names.name(reference)
        yield Notice(f"“{name}” is missing for {count:,} of {selected:,}.", "missing", int(reference[1:]))


def _named(conditions: list[ConditionLine]) -> str:
    names = [f"“{one.name}”" for one in conditions]
    if len(names) > _NAMED:
        names = [*names[:_NAMED], f"{len(names) - _NAMED} more"]
    return f"{', '.join(names[:-1])} and {names[-1]}" if len(names) > 1 else names[0]
