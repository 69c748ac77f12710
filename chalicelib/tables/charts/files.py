"""A column's figures as a file: a table for spreadsheets."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Sequence
from urllib.parse import quote

from chalicelib.tables.charts.words import Words

#: What spreadsheets would run; in a file, an apostrophe before it makes it text.
_FORMULA = re.compile("[=+@\t\r\n\uff1d\uff0b\uff0d\uff20-]")
_NUMBER = re.compile(r"-?[0-9.]+(e[+-]?[0-9]+)?( to .*)?|-?[0-9]+–-?[0-9]+")


def table(words: Words) -> str:
    """Return the figures and the bars as CSV with a byte order mark, so that Excel reads it as UTF-8."""
    file = io.StringIO("\ufeff")
    file.seek(1)
    out = csv.writer(file)
    out.writerow([_tame(words.column.name), "value"])
    out.writerows([name, value if isinstance(value, int) else _tame(value)] for name, value in words.summary)
    if words.figures.bars and not words.is_unlike:
        out.writerows([[], ["Value", "Learners"]])
        out.writerows([_tame(words.bar(bar)), bar.count] for bar in words.figures.bars)
        if words.figures.others:
            out.writerow(["All other values", words.figures.others])
    return file.getvalue()


def learner_table(label: str, columns: Sequence[Words]) -> str:
    """Return where one learner is in each column, beside figures of the class, as CSV that Excel reads."""
    file = io.StringIO("\ufeff")
    file.seek(1)
    out = csv.writer(file)
    wanted = ("Learners with a value", "Without a value", "Lowest", "Median", "Mean", "Highest")
    out.writerow(["Column", _tame(label), "Among the class", *wanted])
    for words in columns:
        own = words.figures.own
        value = "" if own is None or own.value is None else words.value(own.value)
        known = dict(words.summary)
        cells = [words.column.name, value, words.place, *(str(known.get(name, "")) for name in wanted)]
        out.writerow([_tame(cell) for cell in cells])
    return file.getvalue()


def _tame(text: str) -> str:
    return f"'{text}" if _FORMULA.match(text) and not _NUMBER.fullmatch(text) else text


def disposition(filename: str) -> str:
    """Return the header that has a browser keep the answer under this name (RFC 6266 §5)."""
    return f"attachment; filename*=UTF-8''{quote(filename)}"
