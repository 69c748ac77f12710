"""`import app`, byte-compiled, in fresh processes; and the dearest of its imports."""

from __future__ import annotations

import compileall
import os
import re
import statistics
import subprocess
import sys

from bench.harness import ROOT, Result, say

LIMIT_MS = 400.0
ROUNDS = 7
TIMER = "import time; t = time.perf_counter(); import app; print((time.perf_counter() - t) * 1000)"


def measure() -> list[Result]:
    """Return the median over fresh processes, against `import chalice, sqlalchemy.orm, pg8000, jinja2, jwt` alone."""
    for folder in ("chalicelib", "app.py"):
        compileall.compile_dir(ROOT / folder, quiet=1) if (ROOT / folder).is_dir() else compileall.compile_file(
            str(ROOT / folder), quiet=1
        )
    libraries = TIMER.replace("import app;", "import chalice, sqlalchemy.orm, pg8000, jinja2, jwt;")
    ours, theirs = [], []
    for _ in range(ROUNDS):
        ours.append(_milliseconds(TIMER))
        theirs.append(_milliseconds(libraries))
    figure, against = statistics.median(ours), statistics.median(theirs)
    _print_dearest()
    return [Result("import app, byte-compiled", round(figure, 1), "ms", round(against, 1), round(figure / against, 2),
                   f"≤ {LIMIT_MS:.0f} ms", figure <= LIMIT_MS)]  # fmt: skip


def _run(*arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return subprocess.run(
        [sys.executable, *arguments], cwd=ROOT, capture_output=True, text=True, check=True, env=environment
    )


def _milliseconds(code: str) -> float:
    return float(_run("-c", code).stdout)


def _print_dearest() -> None:
    lines = re.findall(
        r"import time:\s+(\d+) \|\s+(\d+) \| ( *)(\S+)", _run("-X", "importtime", "-c", "import app").stderr
    )
    top = sorted(
        ((int(total), name) for _, total, _, name in lines if name.count(".") == 0 and name != "app"), reverse=True
    )
    say("  the five dearest imports: " + ", ".join(f"{name} {total / 1000:.0f} ms" for total, name in top[:5]))
