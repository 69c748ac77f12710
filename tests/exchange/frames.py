"""Pickled data frames as OnTask's files have them, made with stand-ins: neither pandas nor NumPy is needed."""

from __future__ import annotations

import io
import pickle
import struct
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any


class Call:
    """A call that the pickle asks for, and the state that what it makes is given."""

    def __init__(self, module: str, name: str, *arguments: Any, state: Any = None) -> None:
        self.target = (module, name)
        self.arguments = arguments
        self.state = state


class Name:
    """A class or function that the pickle names."""

    def __init__(self, module: str, name: str) -> None:
        self.target = (module, name)


class _Pickler(pickle._Pickler):
    """The pickler written in Python: it lets names be written that are not on this machine."""

    def save(self, thing: Any, save_persistent_id: bool = True) -> Any:
        if isinstance(thing, Name):
            return self.save_name(thing)
        if isinstance(thing, Call):
            return self.save_call(thing)
        return super().save(thing, save_persistent_id)

    def save_name(self, thing: Name) -> None:
        module, name = thing.target
        if self.proto < 4:
            self.write(b"c" + module.encode() + b"\n" + name.encode() + b"\n")
            return
        self.save(module)
        self.save(name)
        self.write(pickle.STACK_GLOBAL)

    def save_call(self, thing: Call) -> None:
        self.save_name(Name(*thing.target))
        self.save(thing.arguments)
        self.write(pickle.REDUCE)
        if thing.state is not None:
            self.save(thing.state)
            self.write(pickle.BUILD)


def dumps(value: Any, protocol: int = 5) -> bytes:
    """Pickle a value with its `Call` and `Name` objects."""
    target = io.BytesIO()
    _Pickler(target, protocol).dump(value)
    return target.getvalue()


def dtype(code: str, unit: str = "") -> Call:
    order = "|" if code in {"O8", "b1"} else "<"
    state: tuple[Any, ...] = (3, order, None, None, None, -1, -1, 0)
    if unit:
        state = (4, order, None, None, None, -1, -1, 0, ({}, (unit.encode(), 1, 1, 1)))
    return Call("numpy", "dtype", code, False, True, state=state)


def flat(code: str, values: Sequence[Any]) -> bytes:
    letter = {"i8": "q", "f8": "d", "b1": "?", "M8": "q"}[code]
    return struct.pack(f"<{len(values)}{letter}", *values)


def array(
    code: str, shape: tuple[int, ...], values: Sequence[Any], *, newer: bool, unit: str = "", order: str = "C"
) -> Call:
    """An array, from a buffer (newer, but for objects) or by the generic constructor."""
    if newer and code != "O8":
        data = bytearray(flat(code, values))
        return Call("numpy.core.numeric", "_frombuffer", data, dtype(code, unit), shape, order)
    data_ = list(values) if code == "O8" else flat(code, values)
    return Call(
        "numpy.core.multiarray", "_reconstruct", Name("numpy", "ndarray"), (0,), b"b",
        state=(1, shape, dtype(code, unit), order == "F", data_),
    )  # fmt: skip


def index(labels: Sequence[str], *, newer: bool) -> Call:
    quoted = [Call("sqlalchemy.sql.elements", "quoted_name", label, None) for label in labels]
    data = {"data": array("O8", (len(labels),), quoted, newer=newer), "name": None}
    return Call("pandas.core.indexes.base", "_new_Index", Name("pandas.core.indexes.base", "Index"), data)


def row_index(count: int) -> Call:
    values = {"name": None, "start": 0, "stop": count, "step": 1}
    return Call("pandas.core.indexes.base", "_new_Index", Name("pandas.core.indexes.range", "RangeIndex"), values)


def places(*numbers: int, newer: bool) -> Call:
    if len(numbers) == 1:
        return Call("builtins", "slice", numbers[0], numbers[0] + 1, 1)
    return array("i8", (len(numbers),), numbers, newer=newer)


def frame(labels: Sequence[str], blocks: Sequence[tuple[Call, Call]], rows: int, *, newer: bool) -> Call:
    """A data frame of blocks: pairs of values and places."""
    axes = [index(labels, newer=newer), row_index(rows)]
    if newer:
        made = tuple(Call("pandas._libs.internals", "_unpickle_block", block, place, 2) for block, place in blocks)
        manager = Call("pandas.core.internals.managers", "BlockManager", made, axes)
        state = {"_mgr": manager, "_typ": "dataframe", "_metadata": [], "attrs": {}, "_flags": {}}
        return Call("pandas.core.frame", "DataFrame", state=state)
    inside = {"axes": axes, "blocks": [{"values": block, "mgr_locs": place} for block, place in blocks]}
    manager = Call("pandas.core.internals.managers", "BlockManager", state=([], [], [], {"0.14.1": inside}))
    return Call("pandas.core.frame", "DataFrame", state={"_data": manager, "_typ": "dataframe", "_metadata": []})


UTC_ZONE = Call("pytz", "_UTC")


def zoned(counts: Sequence[int], *, newer: bool, unit: str = "ns") -> Call:
    """Dates with a time zone: an array of pandas' own."""
    values = array("M8", (1, len(counts)), counts, newer=newer, unit=unit)
    kind = Call("pandas.core.dtypes.dtypes", "DatetimeTZDtype", state={"unit": unit, "tz": UTC_ZONE})
    owner = Name("pandas.core.arrays.datetimes", "DatetimeArray")
    if newer:
        state: Any = (kind, values, {"_freq": None})
        return Call("pandas._libs.arrays", "__pyx_unpickle_NDArrayBacked", owner, 1, None, state=state)
    state = {"_data": values, "_freq": None, "_dtype": kind}
    return Call("pandas.core.arrays.datetimes", "DatetimeArray", state=state)


def instant(text: str, unit: str = "ns") -> int:
    """An instant as NumPy counts it."""
    since = datetime.fromisoformat(text).replace(tzinfo=UTC) - datetime(1970, 1, 1, tzinfo=UTC)
    return int(since / timedelta(microseconds=1)) * {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}[unit] // 10**6
