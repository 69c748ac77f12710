"""From a file of OnTask, a workflow or a list of messages, to a document of our own format and a `table.csv`."""

from __future__ import annotations

import base64
import binascii
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from chalicelib import errors
from chalicelib.exchange import package
from chalicelib.exchange.check import storable
from chalicelib.exchange.document import MESSAGES, WORKFLOW, Document, Row
from chalicelib.exchange.ontask import frames, layouts, messages, values
from chalicelib.exchange.ontask.layouts import Item
from chalicelib.exchange.ontask.messages import Known

#: A workflow of 100,000 learners and 20 columns has about 50 MB unpacked; the worker has room for a few times as much.
MAX_UNPACKED_BYTES = 200_000_000
MAX_ROWS = 1_000_000
MAGIC = b"\x1f\x8b"
_TYPES = {"string": "text", "integer": "integer", "double": "double", "boolean": "boolean", "datetime": "datetime"}


def is_ontask(path: Path) -> bool:
    """Tell whether the file is packed as OnTask does."""
    with path.open("rb") as file:
        return file.read(2) == MAGIC


@dataclass(frozen=True)
class Found:
    """The document as the file has it, and the values of its columns by their numbers; None when there are none."""

    document: Document
    cells: dict[int, list[Any]] | None = None


def read(path: Path) -> Found:
    """Return what the file holds; its document is still to be checked.

    Raises errors.Invalid naming the object and the rule, errors.Limit for a file that is too large.
    """
    try:
        found = storable(package.parse(_unpacked(path), "The content of the file"))
    except RecursionError:
        raise errors.Invalid("The content of the file is nested too deep.") from None
    if isinstance(found, list):
        return Found(_messages(layouts.items(found, "The file")))
    if not isinstance(found, dict) or "columns" not in found:
        raise errors.Invalid("The file is no export of OnTask: it has neither a workflow nor messages.")
    return _workflow(found)


def write(found: Found, document: Document, table: Path) -> None:
    """Write the learners under the names that the checked document has for the columns.

    Raises errors.Invalid naming column, row and rule for a value that is not of its column's type.
    """
    cells = found.cells or {}
    names, types = [row["name"] for row in document.columns], [row["type"] for row in document.columns]
    values.write(table, names, types, [cells[row["id"]] for row in document.columns])


def _unpacked(path: Path) -> bytes:
    unpack, pieces, size = zlib.decompressobj(wbits=31), [], 0
    with path.open("rb") as file:
        try:
            while (chunk := file.read(1 << 20)) and not unpack.eof:
                pieces.append(unpack.decompress(chunk, MAX_UNPACKED_BYTES - size + 1))
                size += len(pieces[-1])
                if size > MAX_UNPACKED_BYTES or unpack.unconsumed_tail:
                    raise errors.Limit(
                        f"The file has more than {MAX_UNPACKED_BYTES / 1e6:,.0f} MB unpacked.", status=413
                    )
        except zlib.error as error:
            raise errors.Invalid("The file can’t be unpacked: it is no gzip file, or it is damaged.") from error
    if not unpack.eof:
        raise errors.Invalid("The file can’t be unpacked: its end is missing.")
    return b"".join(pieces)


def _workflow(found: Item) -> Found:
    document = Document(
        WORKFLOW, layouts.text(found, "name", "The workflow"), layouts.text(found, "description_text", "The workflow")
    )
    known = _columns(document, layouts.items(found.get("columns"), "“columns”"))
    _attributes(document, known, found.get("attributes"))
    for view in layouts.items(found.get("views"), "“views”"):
        messages.add_view(document, known, view)
    for action in layouts.items(found.get("actions"), "“actions”"):
        messages.add_action(document, known, action)
    if not found.get("data_frame"):
        if found.get("nrows"):
            document.repairs.append(f"The file says it has {found['nrows']} rows, but holds none.")
        return Found(document)
    frame = frames.read(_pickled(found["data_frame"]))
    _compare(document, found, frame)
    document.learners = frame.row_count
    by_label = dict(zip(frame.labels, frame.columns, strict=True))
    return Found(document, {number: by_label[name] for number, name in known.original.items()})


def _pickled(encoded: Any) -> bytes:
    if not isinstance(encoded, str):
        raise errors.Invalid("“data_frame” is no text.")
    try:
        return base64.b64decode(encoded, validate=False)
    except (binascii.Error, ValueError) as error:
        raise errors.Invalid("“data_frame” can’t be decoded: it is no Base64.") from error


def _compare(document: Document, found: Item, frame: frames.Frame) -> None:
    """Compare the table with its description."""
    if frame.row_count > MAX_ROWS:
        raise errors.Limit(f"The table has {frame.row_count:,} rows; {MAX_ROWS:,} are possible.", status=413)
    described = [layouts.name_of(column, "A column") for column in layouts.items(found.get("columns"), "“columns”")]
    for name in described:
        if name not in frame.labels:
            raise errors.Invalid(f"Column “{name}” is described but not in the table.")
    for label in frame.labels:
        if label not in described:
            raise errors.Invalid(f"Column “{label}” is in the table but not described.")
    if len(set(frame.labels)) < len(frame.labels):
        raise errors.Invalid("Two columns of the table have the same name.")
    for name, there in (("nrows", frame.row_count), ("ncols", len(frame.labels))):
        if found.get(name) is not None and found[name] != there:
            what = "rows" if name == "nrows" else "columns"
            document.repairs.append(f"The file says it has {found[name]} {what}; there are {there:,}.")


def _columns(document: Document, found: list[Item]) -> Known:
    """Add the columns and return what things are called."""
    known = Known()
    positions = [column.get("position") for column in found]
    has_places = all(type(position) is int and position > 0 for position in positions)
    for number, column in enumerate(found, 1):
        name = layouts.name_of(column, f"Column {number}")
        if name in known.columns:
            raise errors.Invalid(f"Two columns are called “{name}”.")
        row = _column(column, name, number, column["position"] if has_places else number)
        document.columns.append(row)
        known.original[number] = name
        known.columns[name] = row
    return known


def _column(column: Item, name: str, number: int, position: int) -> Row:
    where = f"Column “{name}”"
    if column.get("data_type") not in _TYPES:
        raise errors.Invalid(f"{where} has the unknown type “{str(column.get('data_type'))[:40]}”.")
    categories = column.get("categories") or []
    if not isinstance(categories, list):
        raise errors.Invalid(f"{where}: “categories” is no list.")
    return {
        "id": number, "name": name, "type": _TYPES[column["data_type"]], "is_key": column.get("is_key") is True,
        "position": position, "description": layouts.text(column, "description_text", where),
        "allowed_values": categories or None, "in_charts": column.get("in_viz") is not False,
        "active_from": column.get("active_from") or None, "active_until": column.get("active_to") or None,
    }  # fmt: skip


def _attributes(document: Document, known: Known, found: Any) -> None:
    if found is not None and not isinstance(found, dict):
        raise errors.Invalid("“attributes” is no object.")
    for number, (name, value) in enumerate((found or {}).items(), 1):
        shown = value if isinstance(value, str) else str(value)
        document.rows["attribute"].append({"id": number, "name": name, "value": shown})
        known.attributes[name] = number


def _messages(found: list[Item]) -> Document:
    """Read a list of messages, each with the columns and views that it needs."""
    document, known = Document(MESSAGES), Known()
    for action in found:
        where = f"Message “{layouts.name_of(action, 'A message')}”"
        if "used_columns" not in action:
            raise errors.Invalid(f"{where} does not describe the columns it needs (“used_columns”).")
        for column in layouts.items(action["used_columns"], f"{where}: “used_columns”"):
            _needed(document, known, column)
        for view in layouts.items(action.get("used_views"), f"{where}: “used_views”"):
            if layouts.name_of(view, f"{where}: a view") not in known.views:
                messages.add_view(document, known, view)
        messages.add_action(document, known, action)
    return document


def _needed(document: Document, known: Known, column: Item) -> None:
    name = layouts.name_of(column, "A column")
    number = len(document.columns) + 1
    row = _column(column, name, number, number)
    if name in known.columns:
        same = {key: value for key, value in known.columns[name].items() if key in {"type", "is_key", "allowed_values"}}
        if any(row[key] != value for key, value in same.items()):
            raise errors.Invalid(f"Column “{name}” is described in two ways.")
        return
    document.columns.append(row)
    known.columns[name], known.original[number] = row, name
