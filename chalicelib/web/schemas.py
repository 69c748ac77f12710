"""JSON schemas, as far as the interface uses them: checked here, published in its description.

Known are type (one or a list), enum, properties, required, additionalProperties (false or a schema), items, minItems,
maxItems; what else a schema says is for readers.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from chalicelib import errors

#: What each type is in Python; true and false are no numbers.
_TYPES: dict[str, Any] = {
    "string": str, "integer": int, "number": (int, float), "boolean": bool, "object": dict, "array": list,
    "null": type(None),
}  # fmt: skip
_WORDS = {
    "string": "a text", "integer": "a whole number", "number": "a number", "boolean": "true or false",
    "object": "an object", "array": "a list", "null": "null",
}  # fmt: skip
#: More problems than these help nobody.
MAX_PROBLEMS = 20


def check(value: Any, schema: Mapping[str, Any]) -> None:
    """Raise errors.Invalid, with a message for each place (`rows.3.name`), when the value does not fit the schema."""
    found: dict[str, str] = {}
    _look(value, schema, "", found)
    if found:
        raise errors.Invalid("What was sent does not fit. " + next(iter(found.values())), found)


def _look(value: Any, schema: Mapping[str, Any], place: str, found: dict[str, str]) -> None:
    if len(found) >= MAX_PROBLEMS:
        return
    kinds = schema.get("type", [])
    kinds = [kinds] if isinstance(kinds, str) else kinds
    if kinds and not any(_is(value, kind) for kind in kinds):
        found[place or "body"] = f"This must be {' or '.join(_WORDS[kind] for kind in kinds)}."
    elif "enum" in schema and value not in schema["enum"]:
        found[place or "body"] = f"This must be one of {', '.join(map(str, schema['enum']))}."
    elif isinstance(value, dict):
        _look_into(value, schema, place, found)
    elif isinstance(value, list):
        if not schema.get("minItems", 0) <= len(value) <= schema.get("maxItems", len(value)):
            found[place or "body"] = "This has too many items, or too few."
        for position, item in enumerate(value):
            _look(item, schema.get("items", {}), _join(place, str(position)), found)


def _is(value: Any, kind: str) -> bool:
    if isinstance(value, bool):
        return kind == "boolean"
    return isinstance(value, _TYPES[kind])


def _look_into(value: dict[str, Any], schema: Mapping[str, Any], place: str, found: dict[str, str]) -> None:
    known, others = schema.get("properties", {}), schema.get("additionalProperties", {})
    for name in schema.get("required", []):
        if name not in value:
            found[_join(place, name)] = "This field is required."
    for name, item in value.items():
        if name in known:
            _look(item, known[name], _join(place, name), found)
        elif others is False:
            found[_join(place, name)] = f"This is not known here; {', '.join(known)} are."
        else:
            _look(item, others, _join(place, name), found)


def _join(place: str, name: str) -> str:
    return f"{place}.{name}" if place else name


def fields(required: Mapping[str, Any] | None = None, **optional: Any) -> dict[str, Any]:
    """Return the schema of an object with these fields and no others."""
    needed = dict(required or {})
    made: dict[str, Any] = {"type": "object", "properties": {**needed, **optional}, "additionalProperties": False}
    return {**made, "required": list(needed)} if needed else made


TEXT = {"type": "string"}
WHOLE = {"type": "integer"}
YES_NO = {"type": "boolean"}
