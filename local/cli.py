"""`ontask`: what an operator does on the command line of a one-machine installation.

    ontask create-user ana@uni.example --name "Ana Ruiz" --role admin [--data .ontask/data]

prints a one-time link with which the person sets their password.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from local import postgres

ROOT = Path(__file__).resolve().parent.parent


def main(arguments: list[str] | None = None) -> int:
    """Do what the command line says; return the exit status."""
    parser = argparse.ArgumentParser(prog="ontask", description="Operate a one-machine installation of OnTask.")
    commands = parser.add_subparsers(dest="command", required=True)
    create = commands.add_parser("create-user", help="create an account and print its one-time link")
    create.add_argument("email")
    create.add_argument("--name", default="")
    create.add_argument("--role", choices=["instructor", "admin"], default="instructor")
    link = commands.add_parser("link", help="print a new one-time link for an account that has one")
    link.add_argument("email")
    for command in (create, link):
        command.add_argument(
            "--data", type=Path, default=ROOT / ".ontask" / "data", help="the folder given to make run"
        )
        command.add_argument("--port", type=int, default=8910, help="the port given to make run")
    options = parser.parse_args(arguments)
    if not os.environ.get("DATABASE_URL") and not _find(options.data, options.port):
        print(f"Nothing is served from {options.data}. Start it with `make run` first.", file=sys.stderr)
        return 1
    import app  # noqa: F401  all models, and the routes that give the link its path

    return _create(options) if options.command == "create-user" else _link(options.email)


def _find(data: Path, port: int) -> bool:
    """Point the settings at the running installation of `data`; tell whether there is one."""
    database_port = postgres.running_port(data / "postgres")
    if database_port is None or not (data / "secret").exists():
        return False
    os.environ.update(
        ONTASK_STAGE="local", DATABASE_URL=f"postgresql+pg8000://ontask@127.0.0.1:{database_port}/ontask",
        SECRET_KEY=(data / "secret").read_text().strip(), BASE_URL=f"http://127.0.0.1:{port}",
    )  # fmt: skip
    return True


def _create(options: argparse.Namespace) -> int:
    from chalicelib import database, errors
    from chalicelib.accounts import service
    from chalicelib.accounts.roles import Role

    try:
        with database.scope() as session:
            _, token = service.create_user(session, options.email, options.name, Role(options.role))
    except errors.Invalid as error:
        print(" ".join(error.fields.values()) or error.message, file=sys.stderr)
        return 1
    _print_link(token)
    return 0


def _link(email: str) -> int:
    from chalicelib import database
    from chalicelib.accounts import service

    with database.scope() as session:
        user = service.find_by_email(session, email)
        token = service.make_link(session, user) if user else ""
    if not token:
        print(f"{email} has no account. Create one: ontask create-user {email}", file=sys.stderr)
        return 1
    _print_link(token)
    return 0


def _print_link(token: str) -> None:
    from chalicelib.web.urls import absolute_url_for

    print(f"Good once, for seven days:\n{absolute_url_for('accounts.show_welcome', token=token)}")
