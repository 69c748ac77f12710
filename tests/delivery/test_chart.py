"""The chart of a run: geometry only."""

from __future__ import annotations

from datetime import timedelta

from chalicelib.delivery.chart import BOTTOM, LEFT, RIGHT, TOP, Chart, chart
from chalicelib.delivery.queries import Point
from tests.conftest import NOON


def points(*sent: tuple[int, int]) -> list[Point]:
    """What was sent, as (minutes after noon, mails)."""
    return [Point(NOON + timedelta(minutes=minutes), count, 0, 0, 0, 0) for minutes, count in sent]


def drawn(*sent: tuple[int, int]) -> Chart:
    made = chart(points(*sent), "UTC")
    assert made is not None
    return made


def places(path: str) -> list[tuple[float, float]]:
    pairs = [step.split() for step in path.removeprefix("M").split(" L")]
    return [(float(x), float(y)) for x, y in pairs]


def test_there_is_no_chart_before_anything_was_sent() -> None:
    assert chart([], "UTC") is None


def test_a_line_runs_from_corner_to_corner_of_the_drawing() -> None:
    line = places(drawn((0, 1), (1, 1)).lines[0].path)
    assert line[0] == (LEFT, BOTTOM)
    assert line[-1] == (RIGHT, TOP)


def test_a_total_stays_flat_while_nothing_happens() -> None:
    line = places(drawn((0, 10), (1, 0), (60, 10)).lines[0].path)
    assert line[1][1] == line[3][1] == line[4][1] == (BOTTOM + TOP) / 2


def test_everything_in_one_moment_is_still_a_line() -> None:
    made = drawn((0, 7))
    assert len(places(made.lines[0].path)) == 2
    assert made.rows[0].totals == [7]


def test_the_table_says_the_same_totals() -> None:
    assert [row.totals for row in drawn((0, 30), (5, 29)).rows] == [[30], [59]]


def test_only_what_happened_is_drawn() -> None:
    happened = chart([Point(NOON, 3, 2, 0, 0, 1)], "UTC")
    assert happened is not None
    assert happened.names == ["Sent", "Delivered", "Bounced"]


def test_times_are_the_readers_and_as_fine_as_needed() -> None:
    assert drawn((0, 1), (1, 1)).across[0].label == "12:00:00"
    assert drawn((0, 1), (60, 1)).across[0].label == "12:00"
    made = chart(points((0, 1), (2 * 24 * 60, 1)), "Australia/Sydney")
    assert made is not None
    assert made.across[0].label == "2 Mar 23:00"
