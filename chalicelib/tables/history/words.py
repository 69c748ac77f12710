"""What a change did, in words: the small facts under a line of the history."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from chalicelib.tables import cells

#: Longer lists of names are cut.
NAMED = 5
#: Longer values are cut.
MAX_SHOWN = 60
_COUNTS = (
    ("new", "new"), ("dropped", "dropped"), ("matched", "matched"),
)  # fmt: skip


def facts(event_type: str, detail: Mapping[str, Any]) -> list[str]:
    """Return what changed, each fact in a few words; empty when the line itself says it all."""
    return [fact for fact in (*_rows(event_type, detail), *_values(event_type, detail), *columns(detail)) if fact]


def count(number: int, one: str) -> str:
    """Return such as `1 row`, `2,498 rows`."""
    return f"{number:,} {one}{'' if number == 1 else 's'}"


def _rows(event_type: str, detail: Mapping[str, Any]) -> list[str]:
    if event_type == "data_merged":
        told = [f"{count(detail[key], 'row')} {word}" for key, word in _COUNTS if detail.get(key)]
        return [*told, f"{count(detail['cells'], 'cell')} changed" if detail.get("cells") else ""]
    if event_type == "data_uploaded":
        return [count(detail["rows"], "row"), count(detail["columns"], "column")]
    if event_type == "data_restored":
        rows = detail.get("rows")
        return ["no table since" if rows is None else f"{count(rows, 'row')} since"]
    if event_type == "workflow_flushed":
        gone = [f"{count(detail['rows'], 'row')} gone"]
        return [*gone, f"{count(detail['columns'], 'column')} gone"] if detail.get("columns") else gone
    if event_type in {"rows_changed", "rows_restored"} and "rows" in detail:
        return [f"{count(detail['rows'], 'cell' if event_type == 'rows_changed' else 'row')} changed"]
    return []


def _values(event_type: str, detail: Mapping[str, Any]) -> list[str]:
    if event_type == "cell_changed":
        return [f"{_shown(detail.get('old'))} → {_shown(detail.get('new'))}"]
    if event_type == "rows_changed":
        return [f"now {_shown(detail.get('new'))}"]
    if event_type == "row_changed":
        return [f"{count(len(detail['values']), 'cell')} changed"]
    if event_type == "column_renamed":
        return [f"it was “{_cut(detail['old'])}”"] if detail.get("old") else []
    if event_type == "column_retyped":
        lost = f"{count(detail['lost'], 'value')} lost" if detail.get("lost") else ""
        return [f"{_type(detail['old'])} → {_type(detail['new'])}", lost]
    if event_type == "column_redefined":
        return [f"{_cut(detail['old'])} → {_cut(detail['new'])}", f"{count(detail['cells'], 'cell')} changed"]
    if event_type == "column_changed" and "before" in detail:
        before, after = detail["before"], detail["after"]
        changed = [word for key, word in _SETTINGS.items() if before.get(key) != after.get(key)]
        return [", ".join(changed)]
    return []


_SETTINGS = {
    "description": "its description", "position": "its place", "is_key": "whether it tells learners apart",
    "allowed": "which values it takes", "active_from": "when learners are asked",
    "active_until": "until when learners are asked", "in_charts": "whether dashboards show it",
}  # fmt: skip


def columns(detail: Mapping[str, Any]) -> list[str]:
    """Return what became of columns, as `versions.differences` says it."""
    told = [
        f"{word} {_names(detail[key])}"
        for key, word in (("columns_added", "new columns:"), ("columns_removed", "columns gone:"))
        if detail.get(key)
    ]
    told += [f"“{_cut(old)}” is called “{_cut(new)}”" for old, new in detail.get("columns_renamed", [])[:NAMED]]
    told += [
        f"“{_cut(name)}”: {_type(old)} → {_type(new)}" for name, old, new in detail.get("columns_retyped", [])[:NAMED]
    ]
    return told


def _names(found: list[str]) -> str:
    more = f" and {len(found) - NAMED:,} more" if len(found) > NAMED else ""
    return ", ".join(f"“{_cut(name)}”" for name in found[:NAMED]) + more


def _type(name: str) -> str:
    return cells.TYPE_NAMES.get(name, name)


def _shown(value: Any) -> str:
    return "no value" if value is None else f"“{_cut(str(value))}”"


def _cut(value: str) -> str:
    return value if len(value) <= MAX_SHOWN else f"{value[: MAX_SHOWN - 1]}…"


def size(number: int) -> str:
    """Return bytes as people read them: `312 MB`, `2 GB`."""
    if number >= 1_000_000_000:
        return f"{number / 1_000_000_000:.1f}".removesuffix(".0") + " GB"
    if number >= 1_000_000:
        return f"{number / 1_000_000:,.0f} MB"
    return f"{-(-number // 1000):,} kB"
