"""The names of a workflow's columns, conditions, attributes and links, and what they are called inside texts."""

from __future__ import annotations

import difflib
import re
import unicodedata
from collections.abc import Collection, Mapping, Sequence

from chalicelib.actions.language.syntax import Reference

_REFERENCE = re.compile(r"([ckam])([1-9][0-9]{0,18})")
_KINDS = {"c": "column", "k": "condition", "a": "attribute", "m": "link"}
#: Signs of the language that a name between quotes can't have: names of actions are anybody's.
_SIGNS = str.maketrans({'"': "”", "{": "(", "}": ")"})


class Ambiguous(Exception):
    """Raised when a name as written fits more than one object; it says which names these are."""

    def __init__(self, names: Sequence[str]) -> None:
        super().__init__(", ".join(names))
        self.names = tuple(names)


class Names:
    """Looks up what a name stands for ("c12" a column, "k5" a condition, "a3" an attribute, "m7" a link), and back.

    An `if` may test conditions and the columns in `yes_no`.
    """

    def __init__(self, references: Mapping[str, Reference], yes_no: Collection[Reference] = ()) -> None:
        self._references = dict(references)
        self._names = {reference: name for name, reference in self._references.items()}
        self._alike: dict[str, list[str]] = {}
        for name in self._references:
            self._alike.setdefault(_normal(name), []).append(name)
        self._yes_no = frozenset(yes_no)
        #: The length of the longest name, in characters.
        self.longest = max(map(len, self._references), default=0)

    def find(self, text: str) -> Reference | None:
        """Return what the text names: that very name, or else one that differs only in blanks.

        Raises Ambiguous when several names differ from the text only in blanks.
        """
        if text in self._references:
            return self._references[text]
        alike = self._alike.get(_normal(text), ())
        if len(alike) > 1:
            raise Ambiguous(alike)
        return self._references[alike[0]] if alike else None

    def name(self, reference: Reference) -> str:
        """Return the name of an object; one that is gone gets a name that says so and is never known."""
        if reference in self._names:
            return self._names[reference]
        name = f"deleted {_KINDS[reference[0]]} {reference[1:]}"
        while name in self._references:
            name += "?"
        return name

    def __contains__(self, reference: object) -> bool:
        """Tell whether the object is (still) there."""
        return reference in self._names

    def can_test(self, reference: Reference) -> bool:
        """Tell whether an `if` may test the object."""
        return reference.startswith("k") or reference in self._yes_no

    def close_to(self, text: str, *, tests: bool = False, letters: str = "ckam") -> list[str]:
        """Return up to three known names that look like the text.

        With `tests` only those an `if` may test, and only of objects whose references begin with one of `letters`.
        """
        by_key: dict[str, str] = {}
        for name, reference in self._references.items():
            if reference[0] in letters and (not tests or self.can_test(reference)):
                by_key.setdefault(_normal(name).casefold(), name)
        key = _normal(text)[:200].casefold()
        return [by_key[match] for match in difflib.get_close_matches(key, by_key, n=3, cutoff=0.6)]


def of_message(
    columns: Mapping[int, tuple[str, str]], conditions: Mapping[int, str], attributes: Mapping[int, str] | None = None,
    links: Mapping[int, str] | None = None,
) -> Names:  # fmt: skip
    """Return the names of a message: `columns` maps ids to name and type, the others to names, `links` to an action's.

    A condition that is called like a column (which got the name later) is called “… (condition)” in texts, and the
    same with attributes: otherwise one of the two would silently become the other.
    """
    known = {name: f"c{key}" for key, (name, _) in columns.items()}
    led_to = {key: f"link to {' '.join(name.translate(_SIGNS).split())}" for key, name in (links or {}).items()}
    for letter, named in (("a", attributes or {}), ("k", conditions), ("m", led_to)):
        for key, name in named.items():
            shown = name
            while shown in known:
                shown += f" ({_KINDS[letter]})"
            known[shown] = f"{letter}{key}"
    return Names(known, [f"c{key}" for key, (_, kind) in columns.items() if kind == "boolean"])


def is_reference(text: str) -> bool:
    """Tell whether the text is a reference, such as "c12"."""
    return _REFERENCE.fullmatch(text) is not None


def _normal(text: str) -> str:
    return unicodedata.normalize("NFC", " ".join(text.split()))
