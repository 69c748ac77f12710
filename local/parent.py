"""Children that end when their parent does, even when it is killed: they hold the other end of a pipe."""

from __future__ import annotations

import os
import subprocess
import sys
import threading


def start(module: str, environment: dict[str, str], *arguments: str) -> subprocess.Popen[str]:
    """Run `python -m module` and return it once it has said that it is ready.

    Raises RuntimeError when it ends before that.
    """
    child = subprocess.Popen(
        [sys.executable, "-m", module, *arguments],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment,
        start_new_session=True,  # Ctrl-C is for the parent, which ends its children in order
    )  # fmt: skip
    assert child.stdout is not None
    for line in child.stdout:
        if line.strip() == "ready":
            threading.Thread(target=_pass_on, args=(child,), daemon=True).start()
            return child
        print(line, end="", flush=True)
    raise RuntimeError(f"{module} ended with status {child.wait()}")


def _pass_on(child: subprocess.Popen[str]) -> None:
    assert child.stdout is not None
    for line in child.stdout:
        print(line, end="", flush=True)


def end_with_parent() -> None:
    """Called in a child: end this process as soon as the parent's end of the pipe is closed."""

    def watch() -> None:
        while os.read(0, 1):
            pass
        os._exit(0)

    threading.Thread(target=watch, name="parent", daemon=True).start()
