"""`python -m bench [name …]`: all measurements, or those whose module is named."""

from __future__ import annotations

import importlib
import os
import sys

from bench.harness import ENVIRONMENT, Result, report, say, stop_database

MODULES = (
    "cold_start", "uploads", "merges", "conditions", "planning", "starting", "rendering", "sending", "lanes", "table",
    "pages", "answers", "archives", "events",
)  # fmt: skip


def main() -> int:
    """Measure, print the table, write it; exit with 1 when an aim does not hold."""
    os.environ.update(ENVIRONMENT)
    results: list[Result] = []
    try:
        for name in sys.argv[1:] or MODULES:
            say(f"Measuring {name} …")
            results += importlib.import_module(f"bench.{name}").measure()
    finally:
        stop_database()
    return report(results)


if __name__ == "__main__":
    sys.exit(main())
