"""A CSV file of 100,000 rows and 20 columns, from the object in S3 to the indexed table, against PostgreSQL's COPY."""

from __future__ import annotations

import csv
import io
import logging
import os
import random
import statistics
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, timedelta
from urllib.request import Request, urlopen

from sqlalchemy import text

from bench.harness import Result, at_most, fresh_database, silence, timed
from local.course import FAMILY, GIVEN, PROGRAMS

LEARNERS = 100_000
ROUNDS = 5
#: Name, type of the column and whether it tells learners apart, as the import has to find them by itself.
COLUMNS = [
    ("Student id", "text", True), ("Email", "text", True), ("First name", "text", False), ("Last name", "text", False),
    ("Program", "text", False), ("Tutorial", "text", False), ("Enrolled on", "timestamptz", False),
    ("Last login", "timestamptz", False), ("Repeats", "boolean", False), ("Attendance", "double precision", False),
    ("Videos", "bigint", False), ("Posts", "bigint", False), *((f"Quiz {n}", "bigint", False) for n in range(1, 5)),
    ("Midterm", "double precision", False), ("Total", "double precision", False), ("Answer", "text", False),
    ("Note", "text", False),
]  # fmt: skip


def measure() -> list[Result]:
    """Return the figure beside both ways in which PostgreSQL can do the same: indexes first, or (faster) after."""
    with fresh_database(), silence(), s3():
        from chalicelib import clock, database
        from chalicelib.accounts.models import User

        content = class_file()
        with database.scope() as session:
            user = User(email="bench@uni.example", name="Bench", role="instructor", is_active=True,
                        created_at=clock.now())  # fmt: skip
            session.add(user)
            session.flush()
            user_id = user.id
        times = [
            (_ours(content, user_id, number), _copy(content, indexed=True), _copy(content, indexed=False))
            for number in range(ROUNDS)
        ]
    ours, first, after = (statistics.median(column) for column in zip(*times, strict=True))
    return [
        at_most("upload 100k × 20 CSV, against COPY into an indexed table", ours, first, 2.5),
        at_most("upload 100k × 20 CSV, against COPY and then the indexes", ours, after, 2.5),
    ]


def class_file() -> bytes:
    """Return a class with names, marks with gaps, dates, and a text with commas and quotes now and then."""
    chance = random.Random(2026)
    given, family = GIVEN.split(), FAMILY.split()
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow([name for name, _, _ in COLUMNS])
    for number in range(LEARNERS):
        enrolled = date(2026, 1, 5) + timedelta(days=chance.randrange(60))
        quizzes = ["" if chance.random() < 0.1 else chance.randrange(101) for _ in range(4)]
        writer.writerow([
            f"{4_000_000 + number * 7:08}", f"learner{number}@uni.example", chance.choice(given), chance.choice(family),
            chance.choice(PROGRAMS), f"T{chance.randint(1, 12):02}", enrolled.isoformat(),
            f"{enrolled + timedelta(days=9)} {chance.randrange(24):02}:{chance.randrange(60):02}",
            chance.choice(["true", "false"]), f"{chance.random() * 100:.1f}", chance.randrange(25),
            "" if chance.random() < 0.3 else chance.randrange(40), *quizzes, f"{chance.random() * 100:.1f}",
            f"{chance.random() * 400:.2f}", "Yes, in the “big” group, with others" if chance.random() < 0.3 else "No",
            'said "more time"' if chance.random() < 0.05 else "",
        ])  # fmt: skip
    return out.getvalue().encode()


@contextmanager
def s3() -> Iterator[None]:
    """Have an emulated S3 with our bucket."""
    import boto3
    from moto.server import ThreadedMotoServer

    from chalicelib.aws import client
    from chalicelib.settings import settings

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    os.environ["AWS_ENDPOINT_URL"] = f"http://{host}:{port}"
    client.forget()
    bucket = boto3.client("s3")
    bucket.create_bucket(Bucket=settings().bucket)
    bucket.put_bucket_versioning(Bucket=settings().bucket, VersioningConfiguration={"Status": "Enabled"})
    try:
        yield
    finally:
        urlopen(Request(f"{os.environ['AWS_ENDPOINT_URL']}/moto-api/reset", method="POST")).close()
        server.stop()
        del os.environ["AWS_ENDPOINT_URL"]
        client.forget()


def _ours(content: bytes, user_id: int, number: int) -> float:
    """Return the seconds from the file's arrival to its table: both jobs, and what the server does between them.

    The person only clicks Next: the choices are those that are proposed.
    """
    from chalicelib import database
    from chalicelib.aws import files
    from chalicelib.schedules import jobs
    from chalicelib.tables import queries, store
    from chalicelib.tables.uploads import jobs as upload_jobs  # noqa: F401  registers its jobs
    from chalicelib.tables.uploads import service, steps
    from chalicelib.tables.uploads.models import Upload
    from chalicelib.workflows import service as workflows

    with database.scope() as session:
        workflow = workflows.create(session, user_id, f"Round {number}")
        upload, _ = service.begin(session, workflow.id, user_id, "class.csv", len(content))
    files.put(service.key(upload), content, "text/csv")
    upload_id = upload.id

    def work() -> None:
        with database.scope() as session:
            service.arrived(session, upload := session.get_one(Upload, upload_id))
        jobs.run(upload.job_id or 0)
        with database.scope() as session:
            upload = session.get_one(Upload, upload_id)
            steps.choose_columns(session, upload, upload.choices["columns"], add_number=False)
            steps.confirm(session, user_id, upload, may_drop=False)
        jobs.run(upload.job_id or 0)

    taken = timed(work)
    with database.scope() as session:
        found = queries.columns(session, workflow.id)
        assert [(column.name, store.TYPES[column.type], column.is_key) for column in found] == COLUMNS
        assert session.scalar(text(f"SELECT count(*) FROM {store.table(workflow.id)}")) == LEARNERS
        store.drop_workflow(session, workflow.id)
    return taken


def _copy(content: bytes, *, indexed: bool) -> float:
    """Return the seconds of COPY into a table of the same types and indexes, its statistics gathered as ours are."""
    from chalicelib import database

    names = [f"c{number}" for number in range(len(COLUMNS))]
    columns = ", ".join(f"{name} {kind}" for name, (_, kind, _) in zip(names, COLUMNS, strict=True))
    keys = [name for name, (_, _, is_key) in zip(names, COLUMNS, strict=True) if is_key]
    indexes = ["ALTER TABLE bare ADD PRIMARY KEY (row_id)", *(f"CREATE UNIQUE INDEX ON bare ({key})" for key in keys)]

    def work() -> None:
        with database.scope(statement_timeout_seconds=600) as session:
            session.execute(text(f"CREATE TABLE bare (row_id bigint GENERATED BY DEFAULT AS IDENTITY, {columns})"))
            for index in indexes if indexed else []:
                session.execute(text(index))
            cursor = session.connection().connection.cursor()
            command = f"COPY bare ({', '.join(names)}) FROM STDIN WITH (FORMAT csv, HEADER)"
            cursor.execute(command, stream=io.BytesIO(content))  # type: ignore[call-arg]
            for index in indexes if not indexed else []:
                session.execute(text(index))
            session.execute(text("ANALYZE bare"))

    taken = timed(work)
    with database.scope() as session:
        session.execute(text("DROP TABLE bare"))
    return taken
