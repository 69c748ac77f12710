"""What a formula has to know about a column."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class ColumnInfo:
    """A column; `type` is integer, double, boolean, datetime or text."""

    id: int
    name: str
    type: str
    allowed_values: tuple[Any, ...] | None = None
