"""How text becomes a value: the ways a column can be read, guessed from a sample and proven by PostgreSQL's cast."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from chalicelib.tables.store import TYPES

#: Blank: nothing but these. They are cut from both ends of every cell (the last one is a no-break space).
BLANKS = r"E' \t\r\n\u00a0'"

#: What programs write, in lower case, where there is no value. None of it is taken for empty unless people say so.
NOTHING = frozenset({
    "na", "n/a", "#n/a", "nan", "null", "nil", "none", "(null)", "-", "--", "\u2013", "\u2014", ".", "?", "missing",
})  # fmt: skip
#: Types of columns that can tell learners apart.
KEY_TYPES = frozenset({"integer", "text"})


@dataclass(frozen=True)
class Kind:
    """A way to read the text of a column as values of `type`.

    `prepare` turns the trimmed text {v} into what PostgreSQL casts. `allowed` must hold for it, as PostgreSQL reads
    more than people mean (NaN, 0x1F, 1_000, "tomorrow"). `unmistakable` is asked for only when the kind was guessed.
    `usual` holds for most texts that pass both and is cheaper to ask: it goes first, the others after it.
    """

    type: str
    label: str
    prepare: str = "{v}"
    allowed: str = "true"
    unmistakable: str = "true"
    usual: str = ""

    def value(self, text: str, *, strict: bool = False) -> str:
        """Return SQL for the value of the SQL expression `text`; it fails for texts that do not fit."""
        if self.type == "text":
            return text
        prepared = self.prepare.format(v=text)
        conditions = self._conditions(text, prepared, strict)
        cast = f"CAST({prepared} AS {TYPES[self.type]})"
        # The leading word makes the cast itself refuse what PostgreSQL would accept.
        refused = f"CAST('refused ' || {text} AS {TYPES[self.type]})"
        if conditions == "true":
            return cast
        usual = f"WHEN {self.usual.format(v=text)} THEN {cast} " if self.usual else ""
        return f"CASE {usual}WHEN {conditions} THEN {cast} ELSE {refused} END"

    def misfits(self, text: str, *, strict: bool = False) -> str:
        """Return SQL that holds for texts which do not fit; it never fails."""
        if self.type == "text":
            return "false"
        prepared = self.prepare.format(v=text)
        conditions = self._conditions(text, prepared, strict)
        return f"NOT ({conditions} AND pg_input_is_valid({prepared}, '{TYPES[self.type]}'))"

    def _conditions(self, text: str, prepared: str, strict: bool) -> str:
        parts = [self.allowed.format(v=prepared), self.unmistakable.format(v=text) if strict else "true"]
        return " AND ".join(f"({part})" for part in parts if part != "true") or "true"


_DIGITS = "translate({v}, '0123456789', '') IN ('', '-', '+')"
_NUMBER = "translate({v}, '0123456789.+-eE', '') = ''"
_NO_CODE = "({v} NOT LIKE '0%' OR {v} IN ('0', '0.0') OR {v} LIKE '0.%')"
#: A number of more digits than a double holds would lose some; it is a code.
_SHORT = "(length({v}) <= 15 OR position('.' in {v}) > 0)"
#: PostgreSQL would write the number just so; a text that is none is refused here already.
_WRITTEN_SO = "octet_length({v}) <= 15 AND {v} = CAST(CAST({v} AS bigint) AS text)"
#: Behind such a digit the cast itself takes nothing but a number.
_FROM_A_DIGIT = """octet_length({v}) <= 15 AND {v} COLLATE "C" >= '1' AND {v} COLLATE "C" < ':'"""
_DAY_FIRST = r"regexp_replace({v}, '^(\d{{1,2}})[/.-](\d{{1,2}})[/.-](\d{{4}})', '\3-\2-\1')"
_MONTH_FIRST = r"regexp_replace({v}, '^(\d{{1,2}})[/.-](\d{{1,2}})[/.-](\d{{4}})', '\3-\1-\2')"
#: PostgreSQL also knows "tomorrow" and other words, which the cast of an upload should not.
_ISO = "{v} LIKE '____-%-%' AND length({v}) <= 35"

KINDS = {
    "integer": Kind(
        "integer", "whole number", allowed=_DIGITS, unmistakable=f"{_NO_CODE} AND length({{v}}) <= 15",
        usual=_WRITTEN_SO,
    ),
    "integer_decimals": Kind(
        "integer", "whole number, written 3.0", "CASE WHEN {v} LIKE '%.0' THEN left({v}, -2) ELSE {v} END",
        _DIGITS, f"{_NO_CODE} AND length({{v}}) <= 17",
    ),
    "double": Kind(
        "double", "number", allowed=_NUMBER, unmistakable=f"{_NO_CODE} AND {_SHORT}", usual=_FROM_A_DIGIT
    ),
    "double_comma": Kind("double", "number, written 1.234,5", "replace(replace({v}, '.', ''), ',', '.')", _NUMBER),
    "double_grouped": Kind("double", "number, written 1,234.5", "replace({v}, ',', '')", _NUMBER),
    "double_percent": Kind("double", "number, written 85%", "rtrim({v}, '% ')", _NUMBER),
    "double_comma_percent": Kind(
        "double", "number, written 8,5%", "replace(replace(rtrim({v}, '% '), '.', ''), ',', '.')", _NUMBER
    ),
    "boolean": Kind(
        "boolean", "yes/no, written true or false", allowed="lower({v}) IN ('true', 'false')",
        usual="{v} IN ('true', 'false')",
    ),
    "boolean_words": Kind(
        "boolean", "yes/no, written yes, y or 1",
        allowed="lower({v}) IN ('true', 'false', 'yes', 'no', 'y', 'n', 't', 'f', '1', '0')",
    ),
    "datetime": Kind("datetime", "date and time, written 2026-12-31", allowed=_ISO),
    "datetime_day": Kind("datetime", "date and time, written 31/12/2026", _DAY_FIRST, _ISO),
    "datetime_month": Kind("datetime", "date and time, written 12/31/2026", _MONTH_FIRST, _ISO),
    "text": Kind("text", "text"),
}  # fmt: skip

_WHOLE = re.compile(r"-?(0|[1-9]\d{0,14})")
_WHOLE_DECIMAL = re.compile(r"-?(0|[1-9]\d{0,14})\.0")
_DECIMAL = re.compile(r"-?(0|[1-9]\d*)?(\.\d*)?([eE][+-]?\d{1,3})?")
_DATE = re.compile(r"\d{4}-\d{1,2}-\d{1,2}([ T]\d{1,2}:\d{2}(:\d{2}(\.\d+)?)?)? ?(Z|[+-]\d{2}(:?\d{2})?)?")
_SLASHED = re.compile(r"\d{1,2}[/.-]\d{1,2}[/.-]\d{4}( \d{1,2}:\d{2}(:\d{2})?)?")
_LEADING_ZERO = re.compile(r"0\d+")
_GROUPED = re.compile(r"-?\d{1,3}(,\d{3})+(\.\d+)?")
_GROUPED_DOT = re.compile(r"-?\d{1,3}(\.\d{3})+")
_COMMA = re.compile(r"-?\d{1,3}(\.\d{3})*,\d+|-?\d+,\d+")
_PERCENT = re.compile(r"-?\d+(\.\d+)? ?%")


@dataclass(frozen=True)
class Habits:
    """What people say of the file as a whole: its decimal mark (, or .), and whether "day" or "month" comes first."""

    decimal: str = ""
    dates: str = ""


NO_HABITS = Habits()


def guess(sample: Sequence[str], habits: Habits = NO_HABITS) -> str:
    """Return the kind that fits all texts of the sample; it is still to be proven for all rows."""
    if sample and (told := _guess_told(sample, habits)):
        return told
    if not sample:
        return "double"  # a column without a value: most such columns are marks to come
    if all(_WHOLE.fullmatch(text) for text in sample):
        return "integer"
    if all(_WHOLE_DECIMAL.fullmatch(text) for text in sample):
        return "integer_decimals"
    if all(_DECIMAL.fullmatch(text) for text in sample) and any("." in text for text in sample):
        return "double"
    if all(text.lower() in {"true", "false"} for text in sample):
        return "boolean"
    if all(_DATE.fullmatch(text) for text in sample):
        return "datetime"
    return "text"


def _guess_told(sample: Sequence[str], habits: Habits) -> str:
    """Return the kind that fits the sample because people said how the file writes its values; empty when none does."""
    if habits.dates and all(_SLASHED.fullmatch(text) for text in sample):
        return "datetime_day" if habits.dates == "day" else "datetime_month"
    if habits.decimal == ",":
        bare = [text.rstrip("% ") for text in sample]
        if all(_COMMA.fullmatch(text) or _GROUPED_DOT.fullmatch(text) or _WHOLE.fullmatch(text) for text in bare):
            if any(text.endswith("%") for text in sample):
                return "double_comma_percent"
            return "double_comma" if any("," in text or "." in text for text in sample) else ""
    if habits.decimal == ".":
        if all(_PERCENT.fullmatch(text) for text in sample):
            return "double_percent"
        plain = all(_GROUPED.fullmatch(text) or _DECIMAL.fullmatch(text) for text in sample)
        return "double_grouped" if plain and any("," in text for text in sample) else ""
    return ""


def lacks_offset(text: str) -> bool:
    """Tell whether a date or time does not say how far it is from UTC."""
    return not re.search(r":\d{2}(\.\d+)?\s*(Z|[+-]\d{2}(:?\d{2})?)$|\dZ$", text)


def next_guess(kind: str) -> str:
    """Return what to try when a row outside the sample does not fit."""
    return "double" if kind in {"integer", "integer_decimals"} else "text"


def _which_first(sample: Sequence[str]) -> str:
    """Ask what comes first in dates such as 31/12/2026, and say what the sample tells about it."""
    parts = [re.split(r"[/.-]", text)[:2] for text in sample if _SLASHED.fullmatch(text)]
    first = any(int(one[0]) > 12 for one in parts)
    second = any(int(one[1]) > 12 for one in parts)
    if first != second:
        return f"dates with the {'day' if first else 'month'} first; choose that under “Read as” to use them as dates"
    return "looks like dates; say under “Read as” whether the day or the month comes first"


def _stand_for_nothing(sample: Sequence[str]) -> str:
    """Return the words between numbers, dates or yes/no that probably mean "no value", for a hint."""
    words = list(dict.fromkeys(text for text in sample if text.casefold() in NOTHING))
    others = [text for text in sample if text.casefold() not in NOTHING]
    if not words or not others or guess(others) == "text":
        return ""
    return ", ".join(f"“{word}”" for word in words[:3])


def hints(sample: Sequence[str], kind: str) -> list[str]:
    """Return what people should know about a column that stays text although it looks like something else."""
    if kind == "integer_decimals":
        return ["written like 3.0, read as whole numbers"]
    if kind != "text" or not sample:
        return []
    if words := _stand_for_nothing(sample):
        return [f"values but for {words}; say under “Read the file differently” that this means empty"]
    share, dates = len(sample) * 0.9, _which_first(sample)
    for pattern, hint in (
        (_LEADING_ZERO, "leading zeros kept"),
        (_GROUPED, "looks like numbers with thousands separators; say so under “Read as” to calculate with them"),
        (_COMMA, "looks like numbers with decimal commas; say so under “Read as” to calculate with them"),
        (_PERCENT, "looks like percentages; say so under “Read as” to calculate with them"),
        (_SLASHED, dates),
    ):
        found = sum(1 for text in sample if pattern.fullmatch(text))
        if found >= share or (pattern is _LEADING_ZERO and found and all(text.isdigit() for text in sample)):
            return [hint]
    long = sum(1 for text in sample if text.isdigit() and len(text) > 15)
    return ["long numbers kept digit by digit"] if long >= share else []
