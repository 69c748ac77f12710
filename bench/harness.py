"""What every measurement shares: a database of its own, paired timings, the table of results."""

from __future__ import annotations

import json
import os
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import event
from sqlalchemy.orm import Session

ROOT = Path(__file__).resolve().parent.parent
DATABASES = ROOT / ".ontask" / "bench-postgres"
RESULTS = ROOT / "bench" / "results.json"
ENVIRONMENT = {
    "ONTASK_STAGE": "test",
    "SECRET_KEY": "a key for measurements, long enough for HMAC-SHA-256",
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_ACCESS_KEY_ID": "local",
    "AWS_SECRET_ACCESS_KEY": "local",
    "AWS_EC2_METADATA_DISABLED": "true",
    "POWERTOOLS_LOG_LEVEL": "WARNING",
}


@dataclass(frozen=True)
class Result:
    """One line of the table: `figure` of ours against the yardstick's, and whether the aim holds."""

    name: str
    figure: float
    unit: str
    against: float
    ratio: float
    aim: str
    holds: bool


def at_most(name: str, ours: float, yardstick: float, limit: float, unit: str = "s") -> Result:
    """Return a result whose aim is `ours ≤ limit × yardstick`."""
    ratio = ours / yardstick
    return Result(name, round(ours, 4), unit, round(yardstick, 4), round(ratio, 2), f"≤ {limit} ×", ratio <= limit)


def paired(ours: Callable[[], Any], yardstick: Callable[[], Any], rounds: int = 5) -> tuple[float, float]:
    """Time both in turns and return the medians in seconds, so that a slow moment hits both."""
    return medians(lambda: timed(ours), lambda: timed(yardstick), rounds)


def medians(ours: Callable[[], float], yardstick: Callable[[], float], rounds: int) -> tuple[float, float]:
    """Do as `paired` with work that tells its own seconds."""
    times: tuple[list[float], list[float]] = ([], [])
    for _ in range(rounds):
        for work, taken in zip((ours, yardstick), times, strict=True):
            taken.append(work())
    return statistics.median(times[0]), statistics.median(times[1])


def timed(work: Callable[[], Any]) -> float:
    """Return the seconds that `work` takes."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


@contextmanager
def statements(session: Session) -> Iterator[list[tuple[str, Any]]]:
    """Note every statement that the session runs, with its values."""
    ran: list[tuple[str, Any]] = []

    def note(_connection: Any, _cursor: Any, statement: str, values: Any, *_: Any) -> None:
        ran.append((statement, values))

    connection = session.connection()
    event.listen(connection, "before_cursor_execute", note)
    try:
        yield ran
    finally:
        event.remove(connection, "before_cursor_execute", note)


@contextmanager
def silence() -> Iterator[None]:
    """Let wake-ups and alarms go nowhere: what is measured is run by hand."""
    from chalicelib.aws import alarm, queue

    kept = queue.send, alarm.set_alarm
    queue.send, alarm.set_alarm = (lambda *_args, **_more: None), (lambda *_args: "")
    try:
        yield
    finally:
        queue.send, alarm.set_alarm = kept


@contextmanager
def fresh_database(name: str = "bench") -> Iterator[str]:
    """Give the product a database of its own with durable settings, as in `make run`; yield its address.

    Inside another one it takes that one's place until it ends.
    """
    from chalicelib import database
    from chalicelib.database import migrate
    from chalicelib.settings import settings
    from local import postgres

    server = postgres.start(DATABASES, durable=True)
    postgres.create_database(server, name, replace=True)
    outer = os.environ.get("DATABASE_URL", "")

    def turn_to(url: str) -> None:
        database.dispose()
        os.environ["DATABASE_URL"] = url
        settings.cache_clear()

    turn_to(f"{server}/{name}")
    try:
        migrate.upgrade()
        yield f"{server}/{name}"
    finally:
        turn_to(outer)
        postgres.drop_database(server, name)


def stop_database() -> None:
    """Stop the server that `fresh_database` started; its data stay, as making them takes a while."""
    from local import postgres

    postgres.stop(DATABASES)


def report(results: list[Result]) -> int:
    """Print the table, write it to `bench/results.json`, return the exit status."""
    width = max(len(result.name) for result in results)
    print(f"\n{'work':{width}}  {'ours':>12} {'yardstick':>12} {'ratio':>7}  aim")
    for result in results:
        mark = "holds" if result.holds else "FAILS"
        print(
            f"{result.name:{width}}  {result.figure:>9.4g} {result.unit:<2} {result.against:>9.4g} {result.unit:<2} "
            f"{result.ratio:>7.2f}  {result.aim} {mark}"
        )
    RESULTS.write_text(json.dumps([asdict(result) for result in results], indent=2, ensure_ascii=False) + "\n")
    print(f"\nWritten to {RESULTS.relative_to(ROOT)}")
    failed = [result.name for result in results if not result.holds]
    if failed:
        print(f"{len(failed)} of {len(results)} aims do NOT hold: {'; '.join(failed)}.")
    else:
        print(f"All {len(results)} aims hold.")
    return 1 if failed else 0


def say(text: str) -> None:
    """Tell what is being measured."""
    print(text, file=sys.stderr, flush=True)
