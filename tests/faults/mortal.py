"""A worker that is really killed: a process that forks for each order, and the fork dies by SIGKILL on the way.

It has no threads, connections or clients that a fork could inherit half-done, so it runs beside the tests. The test
speaks to it through `Worker`; orders and answers are lines of JSON.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlencode

from sqlalchemy import event

from tests.conftest import ROOT, Browser


class Worker:
    """The process, as a test sees it."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.mortal"], cwd=ROOT, text=True, stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )  # fmt: skip

    def survives(self, order: dict[str, Any], *, die_at: int = 0) -> bool:
        """Carry an order out and tell whether the worker came to its end.

        It dies before the statement, commit or mail with the number `die_at`; 0 is none of them.
        """
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps({**order, "die_at": die_at}) + "\n")
        self._process.stdin.flush()
        status = int(self._process.stdout.readline())
        assert status in {0, -signal.SIGKILL}, f"the worker failed on its own, with {status}"
        return status == 0

    def stop(self) -> None:
        """End the process."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()


def posted(browser: Browser, path: str, fields: dict[str, Any]) -> dict[str, Any]:
    """Return the order to send a form as this browser would."""
    body = urlencode({"csrf_token": browser.csrf_token(), **fields}, doseq=True)
    return {"path": path, "body": body, "cookies": browser.cookies}


def _serve() -> None:
    import app  # noqa: F401  everything is loaded once for all forks
    import chalicelib.functions  # noqa: F401
    from chalicelib.aws.client import client

    for service in ("s3", "sqs", "scheduler"):
        client(service)
    for line in sys.stdin:
        child = os.fork()
        if not child:
            _obey(json.loads(line))
        _, status = os.waitpid(child, 0)
        sys.stdout.write(f"{os.waitstatus_to_exitcode(status)}\n")
        sys.stdout.flush()


def _obey(order: dict[str, Any]) -> None:
    """Do what is asked and leave without any cleaning up."""
    os.dup2(2, 1)  # the log goes to standard output, where the answers are expected
    left = order["die_at"]

    def step(*_: Any) -> None:
        nonlocal left
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    from chalicelib import database
    from chalicelib.aws.ses import Ses
    from chalicelib.database.prepared import Prepared

    engine = database.engine()
    event.listen(engine, "before_cursor_execute", step)
    event.listen(engine, "commit", step)
    _count(Prepared, "_run", step)
    _count(Ses, "send_email", step)
    code = 1
    try:
        code = _do(order)
    finally:
        os._exit(code)


def _count(owner: Any, name: str, step: Callable[[], None]) -> None:
    """Make a call a step, before it and after it."""
    call = getattr(owner, name)

    def counted(*args: Any, **more: Any) -> Any:
        step()
        result = call(*args, **more)
        step()
        return result

    setattr(owner, name, counted)


def _serve_lane(lane: str, at: str) -> None:
    """Send at a time that goes on from then."""
    from chalicelib import clock, functions

    begun, start = time.monotonic(), datetime.fromisoformat(at)
    clock.use(lambda: start + timedelta(seconds=time.monotonic() - begun))
    functions.serve(lane, 60)


def _do(order: dict[str, Any]) -> int:
    if "lane" in order:
        _serve_lane(order["lane"], order["at"])
        return 0
    if "job" in order:
        from chalicelib.schedules import jobs

        jobs.run(order["job"])
        return 0
    browser = Browser()
    browser.cookies = order["cookies"]
    answer = browser.request("POST", order["path"], order["body"])
    if answer.status != 303:
        sys.stderr.write(answer.body[:2000])
    return 0 if answer.status == 303 else 1


if __name__ == "__main__":
    _serve()
