"""The JSON logger: one correlation id from page through queue to mail, no personal data.

The id is API Gateway's of the request that began it all. Wake-ups, jobs and runs carry it on, each mail has it in
a header. An error's own words stay out of the log, because they quote what people typed or a table held; where it
happened and what kind it was is enough to find it.
"""

from __future__ import annotations

import re
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from logging import LogRecord
from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.logging.formatter import LambdaPowertoolsFormatter

from chalicelib.settings import settings

#: The name of the id in log lines, metrics and queue messages.
KEY = "correlation_id"
#: A client may choose the id of its request (API Gateway, `$context.requestId`), and it ends up in a mail's header.
_PLAIN = re.compile(r"[A-Za-z0-9_=-]{1,64}")

_followed: ContextVar[str] = ContextVar(KEY, default="")


@cache
def logger() -> Logger:
    """Return the process's logger."""
    return Logger(service="ontask", logger_formatter=Formatter(utc=True, serialize_stacktrace=False))


def correlation_id() -> str:
    """Return the id of what is being done; "" when nothing says."""
    return _followed.get()


@contextmanager
def follow(correlation_id: str) -> Iterator[None]:
    """Have everything inside carry this id; "" or one that is not plain changes nothing."""
    token = _followed.set(correlation_id if _PLAIN.fullmatch(correlation_id) else _followed.get())
    try:
        yield
    finally:
        _followed.reset(token)


class Formatter(LambdaPowertoolsFormatter):
    """Powertools' JSON with the correlation id and without the words of exceptions."""

    def format(self, record: LogRecord) -> str:
        """Return the line."""
        if followed := _followed.get():
            record.__dict__.setdefault(KEY, followed)
        return super().format(record)

    def _extract_log_exception(self, log_record: LogRecord) -> Any:
        if log_record.exc_info is None or log_record.exc_info[1] is None or settings().ontask_stage == "local":
            return super()._extract_log_exception(log_record)
        error = log_record.exc_info[1]
        return wordless(error), type(error).__name__, None


def wordless(error: BaseException) -> str:
    """Return the traceback of `error` and its causes, each with its kind and PostgreSQL's code instead of its words."""
    from chalicelib.database.problems import sqlstate

    lines: list[str] = []
    seen: BaseException | None = error
    while seen is not None:
        code = sqlstate(getattr(seen, "orig", None) or seen)
        lines += [f"{type(seen).__module__}.{type(seen).__qualname__} {code}".rstrip()]
        lines += [
            f"  {frame.filename}:{frame.lineno} {frame.name}" for frame in traceback.extract_tb(seen.__traceback__)
        ]
        seen = seen.__cause__ or (None if seen.__suppress_context__ else seen.__context__)
    return "\n".join(lines)
