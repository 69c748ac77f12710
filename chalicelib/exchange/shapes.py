"""The shapes of fields that hold JSON: only keys that are known, only values of their kind."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB

from chalicelib import errors
from chalicelib.actions import targets
from chalicelib.actions.language import TemplateError, references
from chalicelib.actions.targets import Target

_TEXT, _YES_NO, _NUMBER = (str,), (bool,), (int,)
_SEND_DEFAULTS: dict[str, tuple[type, ...]] = {
    "to_column_id": _NUMBER, "subject": _TEXT, "from_name": _TEXT, "reply_to": _TEXT, "cc": (list,), "bcc": (list,),
    "track_opens": _YES_NO, "track_clicks": _YES_NO, "opens_column": _TEXT, "leave_out_duplicates": _YES_NO,
    "exclude": _YES_NO, "also": (list,), "to": (list,), "send_empty": _YES_NO, "as_links": _YES_NO,
    "copies": _TEXT, "wants_snapshot": _YES_NO,
}  # fmt: skip
#: What an imported message keeps; `docs/export-format.md` says what each means.
_KEPT: dict[str, tuple[type, ...]] = {
    "kind": _TEXT, "text": _TEXT, "target_url": _TEXT, "is_served": _YES_NO,
    "active_from": _TEXT, "active_until": _TEXT, "filter_description": _TEXT, "questions": (list,), "rubric": (list,),
    "attachments": (list,),
}  # fmt: skip
_TARGET: dict[str, tuple[type, ...]] = {"url": _TEXT, "method": _TEXT, "headers": (dict,), "is_form": _YES_NO}
_QUESTION: dict[str, tuple[type, ...]] = {
    "column": _NUMBER, "condition": (int, type(None)), "changes_allowed": _YES_NO,
}  # fmt: skip
_CELL: dict[str, tuple[type, ...]] = {"column": _NUMBER, "level": _NUMBER, "description": _TEXT, "feedback": _TEXT}
_SCALARS = (str, int, float, bool)
MAX_ITEMS = 10_000


def type_of(column: sa.Column[Any]) -> tuple[type, ...]:
    """Return the types that a field of a file may have."""
    if not isinstance(column.type, JSONB):
        return (column.type.python_type,)
    return (list,) if column.name in {"columns", "sort", "allowed_values"} else (dict,)


def default(column: sa.Column[Any]) -> Any:
    """Return what a field has that a file leaves out."""
    kinds: dict[type, Any] = {str: "", int: 0, bool: False, list: [], dict: {}}
    scalar = getattr(column.default, "arg", None) if column.default is not None and column.default.is_scalar else None
    return kinds[type_of(column)[0]] if scalar is None else scalar


def _only(value: Any, wanted: Mapping[str, tuple[type, ...]], where: str) -> dict[str, Any]:
    """Return the known keys of an object; errors.Invalid when one has a value of another kind."""
    if not isinstance(value, dict):
        raise errors.Invalid(f"{where} can’t be read.")
    for name in value.keys() & wanted.keys():
        if type(value[name]) not in wanted[name]:
            raise errors.Invalid(f"{where}: “{name}” is not of the right kind.")
    return {name: item for name, item in value.items() if name in wanted}


def send_defaults(value: dict[str, Any], where: str) -> dict[str, Any]:
    """Return what the next sending of a message begins with, checked.

    Raises errors.Invalid when it can't be that.
    """
    made = _only(value, _SEND_DEFAULTS, f"{where}, how it was sent")
    for name in ("cc", "bcc", "to"):
        if any(not isinstance(address, str) for address in made.get(name, [])):
            raise errors.Invalid(f"{where}: “{name}” is not of the right kind.")
    if any(type(column) is not int for column in made.get("also", [])):
        raise errors.Invalid(f"{where}: “also” is not of the right kind.")
    try:
        references(made.get("subject", ""), "text")
    except TemplateError as error:
        raise errors.Invalid(f"{where}: its subject can’t be read: {error.problems[0]}") from error
    if made.get("opens_column", "").isdigit() and not made["opens_column"].isascii():
        raise errors.Invalid(f"{where}: “opens_column” is not of the right kind.")
    return made


def target(value: dict[str, Any] | None, where: str) -> dict[str, Any] | None:
    """Return where the JSON of an action goes, checked as if somebody had typed it.

    Raises errors.Invalid when it can't be that.
    """
    if not value:
        return None
    made = _only(value, _TARGET, f"{where}, where it goes")
    if any(not isinstance(text, str) for text in made.get("headers", {}).values()):
        raise errors.Invalid(f"{where}: “headers” is not of the right kind.")
    try:
        return targets.check(Target(**made)).stored()
    except errors.Invalid as error:
        raise errors.Invalid(f"{where}: {error.message}") from error


def kept(value: dict[str, Any] | None, where: str) -> dict[str, Any] | None:
    """Return the parts of a message that no page shows yet, checked.

    Raises errors.Invalid when they can't be that.
    """
    if not value:
        return None
    made = _only(value, _KEPT, f"{where}, kept parts")
    if any(len(made.get(name, [])) > MAX_ITEMS for name in ("questions", "rubric", "attachments")):
        raise errors.Invalid(f"{where} has more than {MAX_ITEMS:,} kept parts.")
    for name, shape in (("questions", _QUESTION), ("rubric", _CELL)):
        if name in made:
            made[name] = [_only(item, shape, f"{where}, {name}") for item in made[name]]
            if any("column" not in item for item in made[name]):
                raise errors.Invalid(f"{where}, {name}: a column is missing.")
    if any(type(view) is not int for view in made.get("attachments", [])):
        raise errors.Invalid(f"{where}, attachments: not of the right kind.")
    return made


def is_recipe(value: Any, columns: Collection[int]) -> bool:
    """Tell whether this can say how a column was worked out; `columns` are the numbers of those that are there."""
    if not isinstance(value, dict) or not isinstance(value.get("op"), str):
        return False
    sources, within = value.get("sources", []), value.get("within")
    if not isinstance(sources, list) or any(source not in columns for source in sources):
        return False
    if within is not None and within not in columns:
        return False
    items = [item for field in value.values() for item in (field if isinstance(field, list) else [field])]
    return all(item is None or isinstance(item, _SCALARS) for item in items) and _is_whole(value)


def _is_whole(value: Mapping[str, Any]) -> bool:
    if value["op"] == "groups":
        return isinstance(value.get("values"), list) and type(value.get("seed")) is int
    if value["op"] == "weighted" and len(value.get("weights") or []) != len(value.get("sources") or []):
        return False
    return bool(value.get("sources")) and isinstance(value.get("separator", ""), str)
