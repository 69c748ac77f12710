"""Data frames out of pickles: every layout, every kind of value, and nothing that a crafted file asks for is done."""

from __future__ import annotations

import pickle
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chalicelib import errors
from chalicelib.exchange.ontask import values
from chalicelib.exchange.ontask.frames import NO_DATE, Frame, Moment, read
from chalicelib.exchange.ontask.pickles import ALLOWED, Unsupported, load
from tests.exchange import frames
from tests.exchange.frames import Call, Name, array, dumps, instant, places, zoned

NAN = float("nan")


def everything(*, newer: bool) -> Call:
    """Two rows of every kind of column, one of them missing where that is possible."""
    labels = ["sid", "name", "mark", "passed", "asked", "seen", "zoned"]
    blocks = [
        (array("i8", (1, 2), [1, 2], newer=newer), places(0, newer=newer)),
        (array("O8", (2, 2), ["Ana", "", True, None], newer=newer), places(1, 4, newer=newer)),
        (array("f8", (1, 2), [7.5, NAN], newer=newer), places(2, newer=newer)),
        (array("b1", (1, 2), [True, False], newer=newer), places(3, newer=newer)),
        (array("M8", (1, 2), [instant("2026-03-02T10:00"), NO_DATE], newer=newer, unit="ns"), places(5, newer=newer)),
        (zoned([instant("2026-03-02T10:00:00.5"), NO_DATE], newer=newer), places(6, newer=newer)),
    ]
    return frames.frame(labels, blocks, 2, newer=newer)


@pytest.mark.parametrize(("newer", "protocol"), [(False, 3), (False, 4), (True, 5)])
def test_every_kind_of_column_is_read_in_every_layout(newer: bool, protocol: int, tmp_path: Path) -> None:
    found = read(dumps(everything(newer=newer), protocol))
    assert found.labels == ["sid", "name", "mark", "passed", "asked", "seen", "zoned"]
    assert found.row_count == 2
    types = ["integer", "text", "double", "boolean", "boolean", "datetime", "datetime"]
    values.write(tmp_path / "table.csv", found.labels, types, found.columns)
    assert (tmp_path / "table.csv").read_text().splitlines()[1:] == [
        '1,"Ana",7.5,true,true,2026-03-02 10:00:00+00:00,2026-03-02 10:00:00.500000+00:00',
        '2,"",,false,,,',
    ]


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
@pytest.mark.parametrize("newer", [False, True])
def test_units_of_dates_are_honoured(unit: str, newer: bool) -> None:
    dates = zoned([instant("1969-07-20T20:17", unit)], newer=newer, unit=unit)
    made = frames.frame(["at"], [(dates, places(0, newer=newer))], 1, newer=newer)
    (found,) = read(dumps(made)).columns[0]
    assert isinstance(found, Moment)
    assert found.in_utc() == datetime(1969, 7, 20, 20, 17, tzinfo=UTC)


def test_an_unknown_unit_is_refused() -> None:
    made = frames.frame(
        ["at"], [(array("M8", (1, 1), [5], newer=True, unit="D"), places(0, newer=True))], 1, newer=True
    )
    with pytest.raises(Unsupported, match="unit “D”"):
        read(dumps(made))


@pytest.mark.parametrize("newer", [False, True])
def test_blocks_stored_by_column_are_read_by_row(newer: bool) -> None:
    block = array("i8", (2, 3), [1, 10, 2, 20, 3, 30], newer=newer, order="F")
    found = read(dumps(frames.frame(["a", "b"], [(block, places(0, 1, newer=newer))], 3, newer=newer)))
    assert found == Frame(["a", "b"], [[1, 2, 3], [10, 20, 30]], 3)


def test_dates_among_python_values_are_read_with_their_offsets() -> None:
    zone = Call("datetime", "timezone", Call("datetime", "timedelta", 0, 3600, 0))
    packed = bytes([2026 >> 8, 2026 & 255, 3, 2, 10, 30, 15, 0, 0, 7])
    cells = [
        Call("datetime", "datetime", packed), Call("datetime", "datetime", packed, zone),
        Call("datetime", "datetime", packed, Call("pytz", "_p", "Europe/Madrid", 7200, 3600, "CEST")),
        Call("datetime", "datetime", packed, UTC_), None,
    ]  # fmt: skip
    made = frames.frame(["at"], [(array("O8", (1, 5), cells, newer=True), places(0, newer=True))], 5, newer=True)
    hours = [value and value.hour for value in read(dumps(made)).columns[0]]
    assert hours == [10, 9, 8, 10, None]


UTC_ = frames.UTC_ZONE


def test_paths_of_both_numpy_versions_are_known() -> None:
    made = Call("numpy._core.numeric", "_frombuffer", bytearray(8), frames.dtype("i8"), (1, 1), "C")
    assert read(dumps(frames.frame(["a"], [(made, places(0, newer=True))], 1, newer=True))).columns == [[0]]


@pytest.mark.parametrize(
    ("blocks", "rows", "reason"),
    [
        ([], 1, "“a” has no values"),
        ([(array("i8", (1, 2), [1, 2], newer=True), places(0, newer=True))], 1, "lengths"),
        ([(array("i8", (1, 1), [1], newer=True), places(0, newer=True))] * 2, 1, "“a” is there twice"),
        ([(array("i8", (1, 1), [1], newer=True), places(5, newer=True))], 1, "no data frame of a known layout"),
        ([(array("i8", (2, 1), [1], newer=True), places(0, newer=True))], 1, "no data frame of a known layout"),
        ([(array("i8", (2**40, 2**40), [], newer=True), places(0, newer=True))], 1, "no data frame of a known layout"),
    ],
)  # fmt: skip
def test_a_table_that_does_not_fit_together_is_refused(blocks: list[Any], rows: int, reason: str) -> None:
    with pytest.raises(Unsupported, match=reason):
        read(dumps(frames.frame(["a"], blocks, rows, newer=True)))


class Hostile:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return open, (str(self.path), "w")


@pytest.mark.parametrize("protocol", [0, 1, 2, 3, 4, 5])
def test_a_hostile_pickle_is_refused_and_does_nothing(protocol: int, tmp_path: Path) -> None:
    trap = tmp_path / "trap"
    with pytest.raises(Unsupported):
        read(pickle.dumps(Hostile(trap), protocol))
    assert not trap.exists()


@pytest.mark.parametrize(
    "target",
    [("os", "system"), ("builtins", "eval"), ("builtins", "getattr"), ("pandas.core.frame", "DataFrame.to_csv"),
     ("numpy", "load"), ("pandas", "read_pickle"), ("datetime", "date")],
)  # fmt: skip
def test_names_that_are_not_on_the_list_are_refused_by_name(target: tuple[str, str]) -> None:
    with pytest.raises(Unsupported, match=f"“{target[0]}.{target[1]}”"):
        load(b"\x80\x04\x8c" + bytes([len(target[0])]) + target[0].encode() + b"\x8c" + bytes([len(target[1])])
             + target[1].encode() + b"\x93.")  # fmt: skip
    assert target[1] not in ALLOWED.get(target[0], set())


def test_names_on_the_list_are_only_noted() -> None:
    assert load(dumps([Name("builtins", "slice")]))[0].name == "slice"


def test_an_endless_pickle_runs_out_of_time() -> None:
    endless = b"\x80\x04" + b"N0" * (1 << 17) + b"N."
    assert load(endless) is None
    with pytest.raises(errors.Limit):
        load(endless, seconds=-1)


@given(st.binary(max_size=300))
def test_rubbish_is_refused_in_words(rubbish: bytes) -> None:
    for data in (rubbish, b"\x80\x05" + rubbish):
        with pytest.raises(errors.Invalid):
            read(data)


ORIGINAL = dumps(everything(newer=True))


@given(st.integers(2, len(ORIGINAL) - 1), st.integers(0, 255))
def test_a_damaged_table_is_read_or_refused_in_words(at: int, byte: int) -> None:
    damaged = ORIGINAL[:at] + bytes([byte]) + ORIGINAL[at + 1 :]
    try:
        found = read(damaged)
    except errors.AppError:
        return
    assert len(found.columns) == len(found.labels)


@pytest.mark.parametrize(
    ("kind", "cells", "reason"),
    [
        ("integer", [1, 2.5], "Column “x”, row 2: “2.5” is no whole number"),
        ("integer", [True], "row 1: “True” is no whole number"), ("integer", [2**63], "is no whole number"),
        ("integer", [float("inf")], "is no whole number"), ("double", ["7"], "row 1: “7” is no number"),
        ("boolean", ["yes"], "is neither true nor false"), ("boolean", [2], "is neither true nor false"),
        ("text", [5], "is no text"), ("text", ["a\0b"], "is no text that can be stored"),
        ("text", ["\ud800"], "is no text that can be stored"), ("datetime", ["2026-03-02"], "is no date"),
        ("datetime", [Moment(2**62, "s")], "is no date"),
    ],
)  # fmt: skip
def test_a_value_of_another_type_is_named(kind: str, cells: list[Any], reason: str, tmp_path: Path) -> None:
    with pytest.raises(errors.Invalid, match=reason):
        values.write(tmp_path / "table.csv", ["x"], [kind], [cells])


def test_whole_numbers_with_a_gap_stay_whole(tmp_path: Path) -> None:
    values.write(tmp_path / "table.csv", ["x", "y"], ["integer", "boolean"], [[1.0, NAN], [1.0, NAN]])
    assert (tmp_path / "table.csv").read_text() == '"x","y"\n1,true\n,\n'
