"""Checks the questions of a file: only kinds that are known, only of columns that can hold their answers."""

from __future__ import annotations

from typing import Any

from chalicelib import errors
from chalicelib.actions.surveys import kinds
from chalicelib.actions.surveys.forms import MAX_HELP_LENGTH, MAX_LABEL_LENGTH
from chalicelib.actions.surveys.kinds import HEADINGS, KINDS, SEPARATOR, Kind
from chalicelib.actions.surveys.service import MAX_QUESTIONS
from chalicelib.exchange.document import Document, Row
from chalicelib.formulas.columns import ColumnInfo
from chalicelib.tables.columns.naming import MAX_DESCRIPTION_LENGTH


def check(document: Document) -> None:
    """Repair the questions of a document, or leave them out and say so.

    Raises errors.Invalid for a form with too many.
    """
    kept = []
    infos = document.infos
    for action in document.rows["action"]:
        rows = [row for row in document.rows["question"] if row["action_id"] == action["id"]]
        if len(rows) > MAX_QUESTIONS:
            raise errors.Invalid(f"Message “{action['name']}” has more than {MAX_QUESTIONS} questions.")
        seen: set[Any] = set()
        for position, row in enumerate(sorted(rows, key=lambda row: row["position"]), 1):
            row["position"] = position
            if _is_usable(row, action, infos, seen, document):
                kept.append(row)
    document.rows["question"] = kept


def _is_usable(
    row: Row, action: Row, infos: dict[int, ColumnInfo], seen: set[Any], document: Document
) -> bool:  # fmt: skip
    where = f"“{action['name']}”"
    if row["kind"] not in set(Kind):
        document.repairs.append(f"{where}: a question of a kind that is unknown here was left out.")
        return False
    row["text"], row["help"] = row["text"][:MAX_DESCRIPTION_LENGTH], row["help"][:MAX_HELP_LENGTH]
    if Kind(row["kind"]) in HEADINGS:
        row["column_id"], row["options"] = None, {}
        return True
    column = infos.get(row["column_id"])
    if column is None or column.id in seen:
        document.repairs.append(
            f"{where}: a question {'without' if column is None else 'with the same'} column was left out."
        )
        return False
    fitting = kinds.fitting(action["kind"], column)
    if column.type not in KINDS[Kind(row["kind"])].types:
        if not fitting:
            document.repairs.append(f"{where}: the question “{column.name}” can’t be asked here and was left out.")
            return False
        row["kind"] = fitting[0].value
    row["options"] = _options(Kind(row["kind"]), row["options"])
    seen.add(column.id)
    return True


def _options(kind: Kind, options: dict[str, Any]) -> dict[str, Any]:
    """Return what the kind knows of, where it is of the right type."""
    if kind is Kind.CHOICES:
        found = options.get("choices")
        texts = [one for one in found if isinstance(one, str) and one.strip()] if isinstance(found, list) else []
        return {"choices": [one for one in dict.fromkeys(texts) if SEPARATOR.strip() not in one]}
    if kind is Kind.NUMBER:
        return {name: options[name] for name in ("min", "max") if type(options.get(name)) in {int, float}}
    if kind is Kind.SCALE:
        ends = {name: options[name] for name in ("low", "high") if type(options.get(name)) is int}
        labels = ("low_label", "high_label")
        return {**ends, **{name: str(options.get(name) or "")[:MAX_LABEL_LENGTH] for name in labels}}
    return {}
