"""`make run`: the whole product on one machine, its data in one folder."""

from __future__ import annotations

import argparse
import fcntl
import os
import secrets
import signal
import sys
import threading
from pathlib import Path
from typing import IO

from local import parent, postgres

DATABASE = "ontask"
SAFE_MODE = "safe-mode@ontask.example"


def main() -> None:
    """Start everything, say where it is, serve until interrupted."""
    options = _options()
    data = options.data.resolve()
    data.mkdir(parents=True, exist_ok=True)
    lock = _lock(data)
    base_url = f"http://127.0.0.1:{options.port}"
    print(f"Data: {data}", flush=True)
    print(f"Starting PostgreSQL in {postgres.home(data / 'postgres')} …", flush=True)
    server = postgres.start(data / "postgres", durable=True)
    if not postgres.has_database(server, DATABASE):
        postgres.create_database(server, DATABASE)
    os.environ.update(_settings(data, f"{server}/{DATABASE}", base_url))
    print("Starting the emulated AWS …", flush=True)
    from local.cloud import Cloud

    cloud = Cloud(data / "cloud", base_url=base_url, mail_rate=float(os.environ["MAIL_RATE"]))
    os.environ.update(cloud.environment)
    try:
        _serve(options, cloud.outbox_path, base_url)
    finally:
        print("Stopping …", flush=True)
        cloud.stop()
        postgres.stop(data / "postgres")
        lock.close()


def _serve(options: argparse.Namespace, outbox: Path, base_url: str) -> None:
    from chalicelib.database import migrate
    from local import sample

    print("Bringing the database up to date …", flush=True)
    migrate.upgrade()
    account = sample.make() if options.sample else None
    environment = {**os.environ, "ONTASK_OUTBOX": str(outbox)}
    stopping = threading.Event()
    for name in (signal.SIGINT, signal.SIGTERM):
        signal.signal(name, lambda *_: stopping.set())
    workers = parent.start("local.workers", environment)
    web = parent.start("local.web", environment, str(options.port))
    print(f"\n  OnTask      {base_url}\n  Sent mail   {base_url}/dev/outbox", flush=True)
    if account:
        print(f"  Sign in     {account.email}\n  Password    {account.password}   (shown this once)", flush=True)
    print("\nCtrl-C stops it; your data stay.", flush=True)
    while not stopping.wait(0.5):
        if web.poll() is not None:
            sys.exit("The web server ended; see above.")
        if workers.poll() is not None:
            print("The workers ended; starting them again …", flush=True)
            workers = parent.start("local.workers", environment)
    for child in (web, workers):
        child.terminate()
        child.wait(timeout=10)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=8910)
    parser.add_argument("--data", type=Path, default=Path(".ontask/data"))
    parser.add_argument("--no-sample", dest="sample", action="store_false", help="start without the sample course")
    return parser.parse_args()


def _lock(data: Path) -> IO[str]:
    lock = (data / "running").open("w")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        sys.exit(f"{data} is already being served. For a second one: make run PORT=8911 DATA=another-folder")
    return lock


def _settings(data: Path, database_url: str, base_url: str) -> dict[str, str]:
    """Return the environment of this installation; what is already set (say MAIL_RATE) stays."""
    mine = {
        "ONTASK_STAGE": "local", "DATABASE_URL": database_url, "BASE_URL": base_url, "SECRET_KEY": _secret(data),
        "POWERTOOLS_TRACE_DISABLED": "true",
    }  # fmt: skip
    defaults = {"MAIL_RATE": "50", "SAFE_MODE_ADDRESS": SAFE_MODE, "POWERTOOLS_LOG_LEVEL": "WARNING"}
    return {**defaults, **{name: os.environ[name] for name in defaults if name in os.environ}, **mine}


def _secret(data: Path) -> str:
    """Return this installation's signing key, made at its first start."""
    path = data / "secret"
    if not path.exists():
        part = path.with_suffix(".part")
        part.touch(mode=0o600)
        part.write_text(secrets.token_urlsafe(48))
        part.rename(path)
    return path.read_text().strip()


if __name__ == "__main__":
    main()
