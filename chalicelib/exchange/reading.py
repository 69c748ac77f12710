"""Read a file, ours or OnTask's, into a checked document and a waiting table of learners."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from sqlalchemy.orm import Session

from chalicelib import errors
from chalicelib.exchange import package
from chalicelib.exchange.check import check
from chalicelib.exchange.document import MESSAGES, Document, Row
from chalicelib.exchange.ontask import reader
from chalicelib.tables import arrivals, names
from chalicelib.tables.arrivals import Arriving

#: What the column of numbers is called that a table without any key gets.
NUMBER_NAME = "Number"

Report = Callable[[int, str], None]


def read(path: Path, folder: Path) -> tuple[Document, Path | None]:
    """Return the document and the CSV file of its learners, written into `folder`; None when there are none.

    Raises errors.Invalid naming the object and the rule, errors.Limit for a file that is too large.
    """
    table = folder / package.TABLE
    if package.is_ours(path):
        raw, has_table = package.read(path, table)
        return check(raw, has_table=has_table), table if has_table else None
    if not reader.is_ontask(path):
        raise errors.Invalid("This is neither a .zip that was exported here nor a .gz that was exported from OnTask.")
    found = reader.read(path)
    document = check(found.document.to_json(), has_table=found.cells is not None)
    document.repairs = found.document.repairs + document.repairs
    document.kept = found.document.kept
    if not found.cells:
        return document, None
    reader.write(found, document, table)
    return document, table


def load(session: Session, import_id: int, document: Document, table: Path | None) -> None:
    """Put the learners into the waiting table; what of the document disagrees with them is repaired and noted.

    Raises errors.Invalid naming line, column and rule when they can't be put there.
    """
    if document.kind == MESSAGES or not document.columns:
        document.learners = None
        return
    columns = [_arriving(row) for row in document.columns]
    count = arrivals.load(session, import_id, columns, table)
    if document.learners not in {None, -1, count}:
        document.repairs.append(f"The file says it has {document.learners:,} rows; there are {count:,}.")
    document.learners = count
    _check_keys(session, import_id, document, columns)
    outside = arrivals.outside_lists(session, import_id, columns)
    for column in columns:
        if found := outside.get(column.number):
            values = "1 value that is" if found == 1 else f"{found:,} values that are"
            document.repairs.append(f"Column “{column.name}” has {values} not on its list; all stay as they are.")


def _arriving(row: Row) -> Arriving:
    allowed = tuple(row["allowed_values"] or ())
    return Arriving(row["id"], row["name"], row["type"], row["is_key"], allowed)


def _check_keys(session: Session, import_id: int, document: Document, columns: list[Arriving]) -> None:
    keys = 0
    for row, column in zip(document.columns, columns, strict=True):
        if not column.is_key:
            continue
        if problem := arrivals.key_problem(session, import_id, column):
            row["is_key"] = False
            document.repairs.append(f"Column “{column.name}” is no key any more: {problem}.")
        else:
            keys += 1
    if not keys:
        _number(session, import_id, document)


def _number(session: Session, import_id: int, document: Document) -> None:
    taken = {row["name"] for row in [*document.columns, *document.rows["attribute"], *document.rows["condition"]]}
    name = NUMBER_NAME if NUMBER_NAME not in taken else names.unused(NUMBER_NAME, taken)
    number = 1 + max(row["id"] for row in document.columns)
    blank = dict.fromkeys(document.columns[0])
    document.columns.append(
        {
            **blank, "id": number, "name": name, "type": "integer", "is_key": True, "description": "",
            "position": len(document.columns) + 1, "in_charts": True,
        }
    )  # fmt: skip
    arrivals.number_rows(session, import_id, number)
    document.repairs.append(f"No column tells the learners apart, so a column “{name}” with numbers was added.")
