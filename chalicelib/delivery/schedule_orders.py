"""What programs say of a scheduled sending: from JSON with names of columns to an order, and back."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from chalicelib import errors
from chalicelib.delivery import checks, repeats
from chalicelib.delivery.order import Sendable, SendOrder, split_addresses
from chalicelib.delivery.push.service import PushOrder
from chalicelib.delivery.repeats import Order
from chalicelib.delivery.reporting.forms import ReportOrder
from chalicelib.delivery.sources import Sources
from chalicelib.schedules.operations import Stage
from chalicelib.web import schemas

#: What programs call the kinds.
NAMES = {repeats.MAIL: "mail", repeats.REPORT: "report", repeats.PUSH: "json"}
_TEXTS = {"type": "array", "items": schemas.TEXT}
_COLUMN = {"type": ["string", "integer", "null"]}
#: What is sent for each kind; a column is named, or given by its id.
SCHEMAS = {
    repeats.MAIL: schemas.fields(
        {"column": _COLUMN, "subject": schemas.TEXT}, from_name=schemas.TEXT, reply_to=schemas.TEXT, cc=_TEXTS,
        bcc=_TEXTS, track_opens=schemas.YES_NO, track_clicks=schemas.YES_NO, leave_out_duplicates=schemas.YES_NO,
        opens_column=_COLUMN, only_new=schemas.YES_NO, left_out=_TEXTS,
    ),
    repeats.REPORT: schemas.fields(
        {"to": _TEXTS, "subject": schemas.TEXT}, from_name=schemas.TEXT, reply_to=schemas.TEXT, cc=_TEXTS, bcc=_TEXTS,
        send_empty=schemas.YES_NO, as_links=schemas.YES_NO,
    ),
    repeats.PUSH: schemas.fields(column=_COLUMN, token=schemas.TEXT, only_new=schemas.YES_NO, left_out=_TEXTS),
}  # fmt: skip
#: The fields of forms, as they are called here.
_CALLED = {"to_column_id": "column", "item_column_id": "column"}


def order(action: Sendable, found: Sources, sent: Mapping[str, Any]) -> Order:
    """Return the order that a program has sent.

    Raises errors.Invalid with a message for each field (`payload.subject`) that does not fit.
    """
    kind = repeats.kind_of(action)
    try:
        schemas.check(sent, SCHEMAS[kind])
        return _MADE[kind](found, sent)
    except errors.Invalid as error:
        raise errors.Invalid(error.message, named(error.fields)) from error


def named(fields: Mapping[str, str]) -> dict[str, str]:
    """Return problems of a form by the names of the interface."""
    return {f"payload.{_CALLED.get(name, name)}": said for name, said in fields.items()}


def _mail(found: Sources, sent: Mapping[str, Any]) -> SendOrder:
    opens = sent.get("opens_column")
    return SendOrder(
        to_column_id=column(found, sent["column"], "column") or 0, subject=sent["subject"],
        from_name=sent.get("from_name", ""), reply_to=sent.get("reply_to", ""), cc=_list(sent, "cc"),
        bcc=_list(sent, "bcc"), track_opens=sent.get("track_opens", False),
        track_clicks=sent.get("track_clicks", False), leave_out_duplicates=sent.get("leave_out_duplicates", True),
        opens_column=checks.NEW if opens == checks.NEW else str(column(found, opens, "opens_column") or ""),
        only_new=sent.get("only_new", True), left_out=tuple(sent.get("left_out", ())),
    )  # fmt: skip


def _report(_found: Sources, sent: Mapping[str, Any]) -> ReportOrder:
    return ReportOrder(
        to=_list(sent, "to"), subject=sent["subject"], from_name=sent.get("from_name", ""),
        reply_to=sent.get("reply_to", ""), cc=_list(sent, "cc"), bcc=_list(sent, "bcc"),
        send_empty=sent.get("send_empty", False), as_links=sent.get("as_links", False),
    )  # fmt: skip


def _push(found: Sources, sent: Mapping[str, Any]) -> PushOrder:
    return PushOrder(
        item_column_id=column(found, sent.get("column"), "column"), token=sent.get("token", "").strip(),
        only_new=sent.get("only_new", True), left_out=tuple(sent.get("left_out", ())),
    )  # fmt: skip


_MADE: dict[str, Callable[[Sources, Mapping[str, Any]], Order]] = {
    repeats.MAIL: _mail, repeats.REPORT: _report, repeats.PUSH: _push,
}  # fmt: skip


def _list(sent: Mapping[str, Any], name: str) -> tuple[str, ...]:
    return split_addresses(" ".join(sent.get(name, ())))


def column(found: Sources, wanted: str | int | None, field: str) -> int | None:
    """Return the id of a column that is named, or given by its id; None for none.

    Raises errors.Invalid (at the field) when the workflow has no such column.
    """
    if wanted in {None, ""}:
        return None
    for one in found.columns.values():
        if wanted in {one.id, one.name}:
            return one.id
    message = f"There is no column {wanted}."
    raise errors.Invalid(message, {field: message})


def shown(found: Sources, stage: Stage) -> dict[str, Any]:
    """Return what a stage sends, in the shape in which it is sent here; never a token."""
    kept = repeats.order_of(found, stage)
    if isinstance(kept, PushOrder):
        name = _name(found, kept.item_column_id)
        return {"column": name, "only_new": kept.only_new, "left_out": list(kept.left_out)}
    head = {
        "subject": kept.subject, "from_name": kept.from_name, "reply_to": kept.reply_to, "cc": list(kept.cc),
        "bcc": list(kept.bcc),
    }  # fmt: skip
    if isinstance(kept, ReportOrder):
        return {"to": list(kept.to), **head, "send_empty": kept.send_empty, "as_links": kept.as_links}
    opens = _name(found, int(kept.opens_column)) if kept.opens_column.isdigit() else kept.opens_column or None
    return {
        "column": _name(found, kept.to_column_id), **head, "track_opens": kept.track_opens,
        "track_clicks": kept.track_clicks, "leave_out_duplicates": kept.leave_out_duplicates, "opens_column": opens,
        "only_new": kept.only_new, "left_out": list(kept.left_out),
    }  # fmt: skip


def _name(found: Sources, column_id: int | None) -> str | None:
    return found.columns[column_id].name if column_id in found.columns and column_id is not None else None
