"""Reads the test of an `if`: names joined by and, or, not and parentheses.

Unquoted names may hold blanks, parentheses and even the words and, or, not, so every way to cut the text into known
names, words and parentheses is tried; the one with the fewest pieces wins (its names are the longest). When two ways
have equally few pieces nobody can tell what is meant, and that is said.
"""

from __future__ import annotations

import bisect
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from chalicelib.actions.language.syntax import And, Is, Not, Or, Reference, Test

MAX_DEPTH = 20
_WORD = re.compile(r"(and|or|not)(?=[ ()\"]|$)", re.IGNORECASE)
_CONNECTIVE = re.compile(r"(?:(?<=[ ()\"])|^)(?:and|or|not)(?=[ ()\"]|$)|[()]", re.IGNORECASE)

#: Given a piece of the text and whether it is quoted, the object it names, or None.
Lookup = Callable[[str, bool], Reference | None]


class ExpressionError(Exception):
    """Raised with the offset in the text, and the piece that names nothing or None for any other mistake."""

    def __init__(self, offset: int, message: str, piece: str | None = None) -> None:
        super().__init__(message)
        self.offset, self.message, self.piece = offset, message, piece


@dataclass(frozen=True)
class _Piece:
    kind: str  # "name", "and", "or", "not", "(", ")"
    start: int
    end: int
    reference: Reference = ""


@dataclass
class _Way:
    count: int
    is_tied: bool
    piece: _Piece | None
    before: _State | None


#: Where we are, whether a name must come next, and how many parentheses are open.
_State = tuple[int, bool, int]


def parse_test(text: str, lookup: Lookup, longest: int) -> Test:
    """Return the test a text stands for; `longest` is the length of the longest name there is.

    Raises ExpressionError.
    """
    if not text.strip():
        raise ExpressionError(0, "Say which condition: {% if name of a condition %}.")
    return _Reader(_cut(text, lookup, longest)).test()


def _cut(text: str, lookup: Lookup, longest: int) -> list[_Piece]:
    size = len(text)
    longest += size - len(" ".join(text.split()))
    edges = [i for i in range(1, size + 1) if i == size or text[i] in ' ()"' or text[i - 1] in "()"]
    ways: dict[_State, _Way] = {(0, True, 0): _Way(0, is_tied=False, piece=None, before=None)}
    by_position: dict[int, list[_State]] = {0: [(0, True, 0)]}
    furthest = 0
    for position in range(size):
        for state in by_position.get(position, ()):
            furthest = position
            way = ways[state]
            for piece, following in _steps(text, state, edges, lookup, longest):
                known = ways.get(following)
                count = way.count + (piece.kind != " ")
                if known is None:
                    by_position.setdefault(following[0], []).append(following)
                if known is None or count < known.count:
                    ways[following] = _Way(count, way.is_tied, piece, state)
                elif count == known.count:
                    known.is_tied = True
    end = ways.get((size, False, 0))
    if end is None:
        raise _explain(text, lookup, furthest, ways, size)
    if end.is_tied:
        raise ExpressionError(
            0, 'This can be read in more than one way. Write the names in double quotes, such as "a and b".'
        )
    pieces: list[_Piece] = []
    while end.piece is not None and end.before is not None:
        if end.piece.kind != " ":
            pieces.append(end.piece)
        end = ways[end.before]
    return pieces[::-1]


def _steps(text: str, state: _State, edges: Sequence[int], lookup: Lookup, longest: int) -> list[tuple[_Piece, _State]]:
    start, needs_name, depth = state
    if text[start] == " ":
        end = start + len(text[start:]) - len(text[start:].lstrip(" "))
        return [(_Piece(" ", start, end), (end, needs_name, depth))]
    found: list[tuple[_Piece, _State]] = []
    word = _WORD.match(text, start)
    if word and (word[0].lower() == "not") == needs_name:
        found.append((_Piece(word[0].lower(), start, word.end()), (word.end(), True, depth)))
    if not needs_name:
        if text[start] == ")" and depth:
            found.append((_Piece(")", start, start + 1), (start + 1, False, depth - 1)))
        return found
    if text[start] == '"':
        close = text.find('"', start + 1)
        reference = lookup(text[start + 1 : close], True) if close > 0 else None
        if reference:
            found.append((_Piece("name", start, close + 1, reference), (close + 1, False, depth)))
        return found
    if text[start] == "(" and depth < MAX_DEPTH:
        found.append((_Piece("(", start, start + 1), (start + 1, True, depth + 1)))
    for end in edges[bisect.bisect_right(edges, start) :]:
        if end > start + longest:
            break
        if text[end - 1] != " " and (reference := lookup(text[start:end], False)):
            found.append((_Piece("name", start, end, reference), (end, False, depth)))
    return found


def _explain(text: str, lookup: Lookup, furthest: int, ways: dict[_State, _Way], size: int) -> ExpressionError:
    # First guess: one of the operands is misspelt. Otherwise all names are known and the words between are wrong.
    position = 0
    while position < size:
        connective = _CONNECTIVE.match(text, position)
        if connective or text[position] == " ":
            position = connective.end() if connective else position + 1
            continue
        if text[position] == '"':
            close = text.find('"', position + 1)
            if close < 0:
                return ExpressionError(position, "This quote is not closed.")
            piece, end, is_quoted = text[position + 1 : close], close + 1, True
        else:
            following = _CONNECTIVE.search(text, position)
            quote = text.find('"', position)
            end = min(following.start() if following else size, quote if quote >= 0 else size)
            piece, is_quoted = text[position:end].strip(), False
        if lookup(piece, is_quoted) is None:
            return ExpressionError(position, "", piece)
        position = end
    ended = [state for state in ways if state[0] == size]
    if any(depth for _, needs_name, depth in ended if not needs_name):
        return ExpressionError(size, "A parenthesis is not closed.")
    if text.count("(") > MAX_DEPTH:
        return ExpressionError(furthest, f"Parentheses can be nested at most {MAX_DEPTH} deep.")
    if ended:
        return ExpressionError(size, "The name of a condition is missing here.")
    return ExpressionError(furthest, "Join the names of conditions by and, or, not and parentheses.")


class _Reader:
    """Recursive descent over the pieces: `not` binds closer than `and`, `and` closer than `or`."""

    def __init__(self, pieces: Sequence[_Piece]) -> None:
        self._pieces = pieces
        self._at = 0

    def test(self) -> Test:
        tests = [self._all()]
        while self._next("or"):
            tests.append(self._all())
        return tests[0] if len(tests) == 1 else Or(tuple(tests))

    def _all(self) -> Test:
        tests = [self._one()]
        while self._next("and"):
            tests.append(self._one())
        return tests[0] if len(tests) == 1 else And(tuple(tests))

    def _one(self) -> Test:
        is_negated = False
        while self._next("not"):
            is_negated = not is_negated
        if self._next("("):
            inner = self.test()
            self._at += 1  # the cut guarantees the closing parenthesis
        else:
            inner = Is(self._pieces[self._at].reference)
            self._at += 1
        return Not(inner) if is_negated else inner

    def _next(self, kind: str) -> bool:
        if self._at < len(self._pieces) and self._pieces[self._at].kind == kind:
            self._at += 1
            return True
        return False
