"""Reads of the table's columns; every other domain learns of columns here."""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.orm import Session

from chalicelib import errors
from chalicelib.formulas.columns import ColumnInfo
from chalicelib.tables.models import Column


def columns(session: Session, workflow_id: int) -> list[Column]:
    """Return the live columns in the order people gave them."""
    return list(
        session.scalars(
            select(Column)
            .where(Column.workflow_id == workflow_id, Column.deleted_at.is_(None))
            .order_by(Column.position, Column.id)
        )
    )


def column(session: Session, workflow_id: int, column_id: int) -> Column:
    """Return one live column of the workflow.

    Raises errors.NotFound when there is none with this id: deleted, unknown or another workflow's.
    """
    found = session.scalar(
        select(Column).where(Column.id == column_id, Column.workflow_id == workflow_id, Column.deleted_at.is_(None))
    )
    if found is None:
        raise errors.NotFound
    return found


def info(column: Column) -> ColumnInfo:
    """Return what a formula has to know about the column."""
    allowed = None if column.allowed_values is None else tuple(column.allowed_values)
    return ColumnInfo(column.id, column.name, column.type, allowed)


def infos(session: Session, workflow_id: int) -> dict[int, ColumnInfo]:
    """Return what formulas have to know about the live columns, by id, in the order of the table."""
    return {column.id: info(column) for column in columns(session, workflow_id)}
