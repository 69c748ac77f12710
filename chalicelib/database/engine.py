"""The connection to PostgreSQL: one engine a process, made at first use."""

from __future__ import annotations

import logging
import ssl
from functools import cache, lru_cache
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, make_url
from sqlalchemy.engine import ExceptionContext
from sqlalchemy.exc import InterfaceError
from sqlalchemy.pool import QueuePool

from chalicelib.database import credentials, schema
from chalicelib.database.problems import is_disconnect
from chalicelib.settings import settings

#: A statement of a page may not outlive the gateway's 29 s.
STATEMENT_TIMEOUT_SECONDS = 25
#: While Aurora wakes up a connection attempt hangs; better to say so and repeat the request.
CONNECT_TIMEOUT_SECONDS = 3
#: A frozen Lambda keeps its connection; the server ends it so that an unused cluster can pause.
IDLE_TIMEOUT_SECONDS = 60

#: Longer statements are lists of values, hardly ever the same twice.
MAX_REMEMBERED_CHARACTERS = 20_000

_override: Engine | Connection | None = None


@cache
def _ssl_context() -> ssl.SSLContext:
    # Built once: loading the certificate store costs 20 ms, for every connection when left to the driver.
    # Aurora's certificates are signed by an authority of Amazon's that no operating system knows.
    return ssl.create_default_context(cafile=settings().database_ca or None)


@cache
def _quicken_driver() -> None:
    """Have pg8000 remember how it numbers a statement's parameters.

    It reads every statement character by character each time it runs one: half a millisecond for a long one.
    """
    from pg8000 import legacy

    scan = legacy.convert_paramstyle

    @lru_cache(maxsize=1000)
    def numbered(style: str, statement: str) -> str:
        return str(scan(style, statement, ())[0])

    def convert(style: str, statement: str, values: Any) -> tuple[str, Any]:
        if style == "format" and len(statement) <= MAX_REMEMBERED_CHARACTERS:
            return numbered(style, statement), values
        converted: tuple[str, Any] = scan(style, statement, values)
        return converted

    legacy.convert_paramstyle = convert


def make(url: str, *, local: bool) -> Engine:
    """Return an engine for the database at `url`; `local` ones have more connections and no TLS."""
    _quicken_driver()
    # The role may have the schema's name, and "$user" would then make it the default schema.
    startup = {"search_path": "public", "statement_timeout": f"{STATEMENT_TIMEOUT_SECONDS}s"}
    if not local:
        startup["idle_session_timeout"] = f"{IDLE_TIMEOUT_SECONDS}s"
    connect_args: dict[str, object] = {
        "ssl_context": False if local else _ssl_context(),
        "timeout": CONNECT_TIMEOUT_SECONDS,
        "application_name": "ontask",
        "startup_params": startup,
    }
    # A connection that the server ended while nobody used it can't be closed politely: no news.
    logging.getLogger("sqlalchemy.pool").setLevel(logging.CRITICAL)
    made = create_engine(
        make_url(url),
        poolclass=QueuePool,
        # A Lambda environment serves one request at a time; the local gateway runs eight threads.
        pool_size=16 if local else 1,
        max_overflow=0,
        pool_pre_ping=True,
        pool_recycle=3600,
        connect_args=connect_args,
        hide_parameters=True,  # errors are logged, people's data are not
    )
    event.listen(made, "connect", _read_without_hurry)
    event.listen(made, "handle_error", _note_disconnect, retval=True)
    return made


def _read_without_hurry(connection: Any, _record: Any) -> None:
    """Let statements take their time: pg8000 goes on using the time-out for connecting at every read."""
    connection._usock.settimeout(None)


def _note_disconnect(context: ExceptionContext) -> BaseException | None:
    """Tell SQLAlchemy of disconnects that its dialect for pg8000 does not know."""
    error = context.original_exception
    if not is_disconnect(error):
        return None
    context.is_disconnect = True
    if isinstance(error, OSError):  # pg8000 lets some of the socket's own errors through
        return InterfaceError(context.statement, None, error, hide_parameters=True, connection_invalidated=True)
    return None


@cache
def _engine() -> Engine:
    config = settings()
    made = make(config.database_url, local=config.is_local)
    if config.database_secret:
        credentials.use_secret(made, config.database_secret)
    return made


def engine() -> Engine | Connection:
    """Return the process's engine (in tests: the connection whose transaction is rolled back)."""
    return _override if _override is not None else _engine()


def use(bind: Engine | Connection | None) -> None:
    """Let every session use `bind`; None goes back to the engine of the settings. For tests and tools."""
    global _override
    _override = bind


def dispose() -> None:
    """Close all connections; the next use opens new ones with the settings of that moment."""
    if _engine.cache_info().currsize:
        _engine().dispose()
    _engine.cache_clear()
    schema.forget()
