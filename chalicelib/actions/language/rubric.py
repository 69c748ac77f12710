"""What a rubric says to a learner, inside a text: the feedback of the level reached in each criterion.

    Criterion("c5", "Structure", {"good": "<p>Well built.</p>", "weak": "<p>Begin with an outline.</p>"})

The feedback is part of the text that is compiled: it may show values and ask conditions, as the text may.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

from chalicelib.actions.language.parser import parse
from chalicelib.actions.language.syntax import Output, Reference, references

#: One paragraph without anything of its own: in a list it would begin a line of its own.
_PARAGRAPH = re.compile(r"\s*<p>((?:(?!</?p\b).)*)</p>\s*", re.DOTALL)
_NOTHING = re.compile(r"(?:<(?!img\b|hr\b)[^<>]*>|&nbsp;|[\s\u00a0\u200b])*+", re.IGNORECASE)


@dataclass(frozen=True)
class Criterion:
    """One row of a rubric: the column with the level, what it is called, and a stored text by level."""

    reference: Reference
    name: str
    feedback: Mapping[str, str]


def level(value: Any) -> str | None:
    """Return what a value is called among the levels; zero and no are levels as good as others."""
    match value:
        case None:
            return None
        case bool():
            return "true" if value else "false"
        case float() if value.is_integer():
            return str(int(value))
        case datetime():
            return (value if value.tzinfo else value.replace(tzinfo=UTC)).astimezone(UTC).isoformat()
        case date():
            return value.isoformat()
        case _:
            return str(value)


def is_blank(text: str) -> bool:
    """Tell whether a text in HTML shows nothing."""
    return _NOTHING.fullmatch(text) is not None


def used(rubric: Sequence[Criterion], output: Output = "html") -> Iterator[Reference]:
    """Give what the rubric speaks of: its columns and what the feedback uses.

    Raises TemplateError when a feedback is not a stored text.
    """
    for criterion in rubric:
        yield criterion.reference
        for text in criterion.feedback.values():
            yield from references(parse(text, None, output))


def inline(text: str) -> str:
    """Return a feedback as it stands after the name of its criterion."""
    found = _PARAGRAPH.fullmatch(text)
    return found[1] if found else text


def as_item(content: str, name: str) -> str:
    """Return a line of a list in HTML, from HTML; nothing when there is nothing to say."""
    return "" if is_blank(content) else f"<li><strong>{name}:</strong> {content}</li>"


def as_list(content: str) -> str:
    """Return the list of these lines."""
    return f"<ul>{content}</ul>" if content else ""


def as_line(content: str, name: str) -> str:
    """Return a line of a list in plain text; nothing when there is nothing to say."""
    content = content.strip()
    return f"- {name}: {content}\n" if content else ""
