"""What the forms of the upload pages say, and the file of changes that can be taken from there."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Collection, Iterator, Mapping
from itertools import islice
from typing import Any
from zoneinfo import available_timezones

from chalicelib import errors
from chalicelib.tables.uploads import decode, layout, plan, reading
from chalicelib.web.request import Values

#: A page's answer has 6 MB at most; this many changes stay well below.
DETAIL_LINES = 30_000
MAX_LINES_SKIPPED = 1000
MAX_MISSING_WORDS = 50
#: What a column may say instead of the rule for all of them.
RULES = {
    "keep": "the file’s value, unless it is blank", "erase": "the file’s value, even a blank",
    "fill": "what is here; the file fills blanks",
}  # fmt: skip
#: What a spreadsheet would run; a signed number is none.
_FORMULA = re.compile(r"[=@\t\r\n]|[+-](?![\d.,]+$)")


def zones() -> list[str]:
    """Return the time zones to choose from."""
    return sorted(zone for zone in available_timezones() if "/" in zone or zone == "UTC")


def options(form: Values, time_zone: str) -> dict[str, Any]:
    """Return how the file is to be read; `time_zone` is that of the workflow.

    Raises errors.Invalid (field `delimiter_other`) when the typed separator can't be one.
    """
    delimiter, other = form.get("delimiter"), form.get("delimiter_other")
    if other and (len(other) > 1 or other in "\r\n\"'" or other.isalnum()):
        message = "Type the one character that stands between the cells."
        raise errors.Invalid(message, {"delimiter_other": message})
    missing = [word for word in (part.strip() for part in form.get("missing").split(",")) if word]
    zone = form.get("time_zone")
    return {
        "delimiter": other or _one_of(delimiter, layout.DELIMITERS), "quote": _one_of(form.get("quote"), layout.QUOTES),
        "encoding": _one_of(form.get("encoding"), decode.ENCODINGS), "sheet": form.get("sheet"),
        "dates": _one_of(form.get("dates"), {"day", "month"}), "decimal": _one_of(form.get("decimal"), {".", ","}),
        "time_zone": "" if zone == time_zone else _one_of(zone, available_timezones()),
        "area": form.get("area").strip()[:40], "skip": _lines(form.whole("skip")),
        "skip_end": _lines(form.whole("skip_end")), "missing": list(dict.fromkeys(missing))[:MAX_MISSING_WORDS],
        "titles": _one_of(form.get("titles"), {reading.KEEP}),
    }  # fmt: skip


def _one_of(written: str, possible: Collection[str]) -> str:
    return written if written in possible else ""


def _lines(number: int | None) -> int:
    return min(max(number or 0, 0), MAX_LINES_SKIPPED)


def look(form: Values, understood: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the Look page says of each column."""
    return {
        str(column["number"]): {
            "name": form.get(f"name-{column['number']}", column["name"]),
            "kind": form.get(f"kind-{column['number']}", column["kind"]),
            "load": form.checked(f"load-{column['number']}"), "key": form.checked(f"key-{column['number']}"),
        }
        for column in understood.get("columns", [])
    }  # fmt: skip


def match(form: Values, understood: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the Match page says."""
    numbers = [one["number"] for one in understood.get("columns", []) if f"target-{one['number']}" in form]
    targets = {str(number): form.whole(f"target-{number}") for number in numbers}
    ends = ["", *(f"-{place}" for place in range(2, plan.MAX_KEYS + 1))]
    keys = [(form.whole(f"key_number{end}") or 0, form.whole(f"key_column{end}") or 0) for end in ends]
    return {
        "method": form.get("method"), "rows": form.get("rows"), "wins": form.get("wins"),
        "keys": [pair for place, pair in enumerate(keys) if pair[0] or not place],
        "ignore_case": form.checked("ignore_case"), "as_numbers": form.checked("as_numbers"),
        "own_key": form.checked("own_key"),
        "targets": {number: target for number, target in targets.items() if target is not None},
        "rules": {str(number): rule for number in numbers if (rule := form.get(f"rule-{number}")) in plan.WINS},
    }  # fmt: skip


def changes_file(changes: Iterator[tuple[str | None, ...]]) -> str:
    """Return the changes as a CSV file that a spreadsheet reads without running anything."""
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(["Learner", "What", "Column", "Before", "Afterwards"])
    for row in islice(changes, DETAIL_LINES):
        writer.writerow([f"'{cell}" if cell and _FORMULA.match(cell) else cell for cell in row])
    if next(changes, None) is not None:
        writer.writerow([f"… and more: this file ends after {DETAIL_LINES:,} changes"])
    return "\ufeff" + out.getvalue()
