"""JSON that people write: read by one parser, so that what is accepted in the editor is what other systems can read."""

from __future__ import annotations

import json
import re
from typing import Any, NoReturn

#: So much of the text around a mistake is quoted.
AROUND = 20


class NotJson(ValueError):
    """Raised with the line, the column and what is wrong there."""

    def __init__(self, text: str, offset: int, message: str) -> None:
        self.line = text.count("\n", 0, offset) + 1
        self.column = offset - text.rfind("\n", 0, offset)
        self.message = message
        self.near = " ".join(text[offset : offset + AROUND].split())
        super().__init__(str(self))

    def __str__(self) -> str:
        near = f", before “{self.near}”" if self.near else ", at the end"
        return f"Line {self.line}, column {self.column}{near}: {self.message}."


#: What Python's parser says, in words for people who write JSON.
_WORDS = {
    "Expecting value": "a value is missing here",
    "Expecting ',' delimiter": "a comma is missing here, or a quote inside a text",
    "Expecting ':' delimiter": "a colon is missing here",
    "Expecting property name enclosed in double quotes": "a name in double quotes is missing here",
    "Extra data": "the object ends before this",
    "Unterminated string starting at": "this text has no closing quote",
    "Invalid control character at": "a line break or tab stands in a text; write \\n or \\t",
    "Invalid \\escape": 'after a backslash only " \\ / b f n r t u may stand',
    "Illegal trailing comma before end of object": "this comma has nothing after it",
    "Illegal trailing comma before end of array": "this comma has nothing after it",
}
_CONSTANT = re.compile(r"-?Infinity|NaN")


def read(text: str) -> Any:
    """Return the value of a JSON text (RFC 8259).

    Raises NotJson.
    """

    def refuse(name: str) -> NoReturn:
        found = _CONSTANT.search(text)
        raise NotJson(text, found.start() if found else 0, f"{name} is no number of JSON")

    try:
        return json.loads(text, parse_constant=refuse)
    except json.JSONDecodeError as error:
        words = next((said for name, said in _WORDS.items() if error.msg.startswith(name)), error.msg)
        raise NotJson(text, error.pos, words) from error
    except RecursionError as error:
        raise NotJson(text, 0, "objects are nested too deeply") from error


def pretty(text: str) -> str:
    """Return a JSON text with one value a line.

    Raises NotJson.
    """
    return json.dumps(read(text), indent=2, ensure_ascii=False)
