"""`ontask`: what an operator does on the command line of a one-machine installation.

    ontask create-user ana@uni.example --name "Ana Ruiz" --role admin [--data .ontask/data]

prints a one-time link with which the person sets their password.

    ontask import-workflow course.zip old.gz --user ana@uni.example [--replace]
    ontask export-workflow 12 --to course.zip [--without-learners]

take workflows in, ours and OnTask's, and write them out; `--replace` puts one of the same name into the trash first.
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
    bring = commands.add_parser("import-workflow", help="import files that were exported here or from OnTask")
    bring.add_argument("files", type=Path, nargs="+", metavar="FILE")
    bring.add_argument("--user", required=True, metavar="EMAIL", help="whose workflows they become")
    bring.add_argument("--replace", action="store_true", help="put a workflow of the same name into the trash first")
    export = commands.add_parser("export-workflow", help="write a workflow with all its messages into a file")
    export.add_argument("id", type=int)
    export.add_argument("--to", type=Path, help="the file; without it one is named by workflow and date")
    export.add_argument("--without-learners", action="store_true")
    for command in (create, link, bring, export):
        command.add_argument(
            "--data", type=Path, default=ROOT / ".ontask" / "data", help="the folder given to make run"
        )
        command.add_argument("--port", type=int, default=8910, help="the port given to make run")
    options = parser.parse_args(arguments)
    if not os.environ.get("DATABASE_URL") and not _find(options.data, options.port):
        print(f"Nothing is served from {options.data}. Start it with `make run` first.", file=sys.stderr)
        return 1
    import app  # noqa: F401  all models, and the routes that give the link its path

    work = {
        "create-user": _create, "link": _link, "import-workflow": _import_workflows,
        "export-workflow": _export_workflow,
    }  # fmt: skip
    return work[options.command](options)


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


def _import_workflows(options: argparse.Namespace) -> int:
    """Import each file in a transaction of its own; return how many could not be imported."""
    failed = 0
    for path in options.files:
        try:
            lines = _import(path, options.user, replace=options.replace)
        except (_Refused, OSError) as error:
            print(f"{path}: {error}", file=sys.stderr)
            failed += 1
            continue
        print("\n  ".join([f"{path}: {lines[0]}", *lines[1:]]))
    return min(failed, 100)


class _Refused(Exception):
    """Raised with the reason why a command can't be done."""


def _import(path: Path, email: str, *, replace: bool) -> list[str]:
    from chalicelib import database, errors
    from chalicelib.accounts import service as accounts
    from chalicelib.exchange import service
    from chalicelib.tables import store

    try:
        with database.scope(statement_timeout_seconds=store.BULK_SECONDS) as session:
            user = accounts.find_by_email(session, email)
            if user is None:
                raise _Refused(f"{email} has no account")
            imported = service.import_file(session, user.id, path, replace=replace)
            result, notes = imported.result, imported.document["repairs"] + imported.document["kept"]
            first = f"“{imported.name}” is workflow {imported.workflow_id}: {result['learners']:,} learners"
            return [f"{first}, {result['columns']} columns, {result['messages']} messages", *notes]
    except errors.AppError as error:
        raise _Refused(" ".join(getattr(error, "fields", {}).values()) or error.message) from error


def _export_workflow(options: argparse.Namespace) -> int:
    from chalicelib import clock, database, errors
    from chalicelib.exchange import jobs, queries, service
    from chalicelib.exchange.document import WORKFLOW
    from chalicelib.tables import store
    from chalicelib.workflows.models import Workflow

    try:
        with database.scope(statement_timeout_seconds=store.BULK_SECONDS) as session:
            workflow = session.get(Workflow, options.id)
            if workflow is None:
                print(f"There is no workflow {options.id}.", file=sys.stderr)
                return 1
            target = options.to or Path(jobs.filename(workflow.name, WORKFLOW, clock.now()))
            actions = [message.id for message in queries.messages(session, workflow.id)]
            service.export(session, workflow, target, actions, with_learners=not options.without_learners)
    except errors.AppError as error:
        print(error.message, file=sys.stderr)
        return 1
    print(target)
    return 0


def _link(options: argparse.Namespace) -> int:
    from chalicelib import database
    from chalicelib.accounts import service

    email = options.email
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
