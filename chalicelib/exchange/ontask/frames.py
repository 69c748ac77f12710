"""Takes the columns out of a pickled pandas data frame, in both layouts that OnTask has written.

Newer: the frame's state has `_mgr`, a block manager made from blocks and axes. Older: `_data`, whose manager's state
keeps both under "0.14.1". A block is an array and the numbers of the columns that its rows fill.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from typing import Any
from zoneinfo import ZoneInfo

from chalicelib.exchange.ontask.pickles import Made, Named, Unsupported, load

#: The smallest 64-bit number means "no date" in NumPy.
NO_DATE = -(2**63)
#: How many of a unit make a second.
UNITS = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}
_BYTES = {"i8": (8, "q"), "f8": (8, "d"), "b1": (1, "?"), "M8": (8, "q")}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Moment:
    """A date as NumPy has it: so many of `unit` since 1970, in UTC."""

    count: int
    unit: str

    def in_utc(self) -> datetime:
        """Return the instant to the microsecond.

        Raises OverflowError for a year that Python does not know.
        """
        return _EPOCH + timedelta(microseconds=self.count * 10**6 // UNITS[self.unit])


@dataclass(frozen=True)
class Frame:
    """The labels in their order, the values of each, and how many rows there are."""

    labels: list[str]
    columns: list[list[Any]]
    row_count: int


def read(pickled: bytes, seconds: float = 120.0) -> Frame:
    """Return the frame. Values are int, float, bool, str, datetime (aware), Moment or None.

    Raises Unsupported when it is no data frame of a known layout, errors.Limit when it takes too long.
    """
    try:
        return _frame(load(pickled, seconds))
    except (KeyError, IndexError, TypeError, ValueError, AttributeError, OverflowError, struct.error):
        raise Unsupported("it is no data frame of a known layout") from None


def _frame(found: Any) -> Frame:
    if not isinstance(found, Made) or found.name != "DataFrame":
        raise TypeError
    manager = found.state["_mgr"] if "_mgr" in found.state else found.state["_data"]
    if manager.name != "BlockManager":
        raise TypeError
    if manager.arguments:
        blocks, axes = manager.arguments
        pairs = [_newer_block(block) for block in blocks]
    else:
        inside = manager.state[3]["0.14.1"]
        axes = inside["axes"]
        pairs = [(block["values"], block["mgr_locs"]) for block in inside["blocks"]]
    labels, row_count = _labels(axes[0]), _length(axes[1])
    filled: list[list[Any] | None] = [None] * len(labels)
    for values, placement in pairs:
        rows = _rows(values, row_count)
        places = _places(placement, len(labels))
        for place, row in zip(places, rows, strict=True):
            if filled[place] is not None:
                raise Unsupported(f"“{labels[place]}” is there twice")
            filled[place] = row
    for label, row_found in zip(labels, filled, strict=True):
        if row_found is None:
            raise Unsupported(f"“{label}” has no values")
    return Frame(labels, [row for row in filled if row is not None], row_count)


def _newer_block(block: Made) -> tuple[Any, Any]:
    if block.name != "_unpickle_block":
        raise TypeError
    values, placement, _dimensions = block.arguments
    return values, placement


def _labels(axis: Made) -> list[str]:
    return [_label(item) for item in _array(_index(axis, "Index")["data"])[1]]


def _label(item: Any) -> str:
    if isinstance(item, Made) and item.name == "quoted_name":
        item = item.arguments[0]
    if not isinstance(item, str):
        raise TypeError
    return item


def _index(axis: Made, *kinds: str) -> dict[str, Any]:
    kind, values = axis.arguments
    if axis.name != "_new_Index" or not isinstance(kind, Named) or kind.name not in kinds:
        raise TypeError
    return dict(values)


def _length(axis: Made) -> int:
    values = _index(axis, "Index", "RangeIndex")
    if "data" in values:
        return len(_array(values["data"])[1])
    return len(range(_whole(values["start"]), _whole(values["stop"]), _whole(values["step"])))


def _whole(value: Any) -> int:
    if type(value) is not int:
        raise TypeError
    return value


def _places(placement: Any, width: int) -> list[int]:
    if placement.name == "slice":
        # A slice without an end would be as long as the table; pandas never writes one.
        places = list(range(*(_whole(part) for part in placement.arguments)))[: width + 1]
    else:
        places = [_whole(place) for place in _array(placement)[1]]
    if any(not 0 <= place < width for place in places):
        raise IndexError
    return places


def _rows(values: Made, length: int) -> list[list[Any]]:
    """Return the array's rows, each as long as the table."""
    shape, items, is_fortran = _array(values)
    count = shape[0] if len(shape) == 2 else 1
    if shape[-1] != length or len(shape) > 2:
        raise Unsupported("the lengths of its columns differ")
    if is_fortran and len(shape) == 2:
        return [items[row::count] for row in range(count)]
    return [items[row * length : (row + 1) * length] for row in range(count)]


def _array(made: Made) -> tuple[tuple[int, ...], list[Any], bool]:
    """Return shape, flat items and whether they lie column by column."""
    if made.name in {"__pyx_unpickle_NDArrayBacked", "DatetimeArray"}:
        return _dates(made)
    if made.name == "_frombuffer":
        data, dtype, shape, order = made.arguments
        return _items(dtype, shape, data, is_fortran=order == "F")
    if made.name != "_reconstruct":
        raise TypeError
    _version, shape, dtype, is_fortran, data = made.state
    return _items(dtype, shape, data, is_fortran=bool(is_fortran))


def _dates(made: Made) -> tuple[tuple[int, ...], list[Any], bool]:
    """Read an array of dates with a time zone; the instants are UTC whatever the zone."""
    state = made.state[0] if isinstance(made.state, tuple) and len(made.state) == 1 else made.state
    if isinstance(state, dict):
        data, dtype = state["_data"] if "_data" in state else state["_ndarray"], state["_dtype"]
    else:
        data, dtype = sorted(state[:2], key=lambda part: "dtype" in part.name.lower())
    shape, items, is_fortran = _array(data)
    unit = _unit_of_zone(dtype)
    if unit and any(item is not None and item.unit != unit for item in items):
        raise Unsupported("dates in two units")
    return shape, items, is_fortran


def _unit_of_zone(dtype: Made) -> str:
    if dtype.name != "DatetimeTZDtype":
        return ""
    unit = dtype.state["unit"] if isinstance(dtype.state, dict) else (dtype.arguments or [""])[0]
    return unit if isinstance(unit, str) else ""


def _items(dtype: Made, shape: Any, data: Any, *, is_fortran: bool) -> tuple[tuple[int, ...], list[Any], bool]:
    if dtype.name != "dtype":
        raise TypeError
    sizes = tuple(_whole(size) for size in shape)
    if any(size < 0 for size in sizes):
        raise ValueError
    count = 1
    for size in sizes:
        count *= size
    code = dtype.arguments[0]
    if code == "O8":
        if type(data) is not list or len(data) != count:
            raise ValueError
        return sizes, [_plain(item) for item in data], is_fortran
    if code not in _BYTES:
        raise Unsupported(f"values of the kind “{str(code)[:20]}”")
    if code != "b1" and dtype.state[1] not in {"<", "="}:
        raise Unsupported("numbers with their bytes in the other order")
    size, letter = _BYTES[code]
    if not isinstance(data, bytes) or len(data) != count * size:
        raise ValueError
    items = list(struct.unpack(f"<{count}{letter}", data))
    if code == "M8":
        unit = _unit(dtype.state)
        return sizes, [None if item == NO_DATE else Moment(item, unit) for item in items], is_fortran
    return sizes, items, is_fortran


def _unit(state: Sequence[Any]) -> str:
    unit, *_ = state[8][1]
    text = unit.decode() if isinstance(unit, bytes) else str(unit)
    if text not in UNITS:
        raise Unsupported(f"dates in the unit “{text[:20]}”")
    return text


def _plain(item: Any) -> Any:
    """Return one value of a list of Python values."""
    if item is None or type(item) in {str, bool, int, float}:
        return item
    if isinstance(item, Made) and item.name == "datetime":
        return _datetime(*item.arguments)
    if isinstance(item, Made) and item.name == "quoted_name":
        return _label(item)
    raise Unsupported(f"a cell with a “{item.name if isinstance(item, Made) else type(item).__name__}”")


def _datetime(packed: bytes, zone: Any = None) -> datetime:
    # CPython Modules/_datetimemodule.c, datetime_getstate: two bytes of year, then one each; three of microseconds.
    year, month, day, hour, minute, second = struct.unpack(">HBBBBB", packed[:7])
    micro = int.from_bytes(packed[7:10], "big")
    is_second = month >= 128
    made = datetime(
        year, month % 128, day, hour, minute, second, micro, tzinfo=_zone(zone), fold=int(is_second)
    )  # fmt: skip
    return made.astimezone(UTC)


def _zone(made: Any) -> tzinfo:
    if made is None or made.name == "_UTC":
        return UTC
    if made.name == "timezone":
        (delta, *_) = made.arguments
        days, seconds, micros = delta.arguments
        return timezone(timedelta(_whole(days), _whole(seconds), _whole(micros)))
    if made.name == "_p" and len(made.arguments) > 1:
        return timezone(timedelta(seconds=_whole(made.arguments[1])))
    if made.name in {"ZoneInfo", "ZoneInfo._unpickle", "_p"}:
        return _named_zone(str(made.arguments[0]))
    raise TypeError


def _named_zone(name: str) -> tzinfo:
    try:
        return ZoneInfo(name)
    except (KeyError, OSError):
        raise Unsupported(f"an unknown time zone “{name[:40]}”") from None
