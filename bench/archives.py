"""A ZIP with a page for each of 10,000 learners, made by its job, against a bare ZIP of pages rendered in advance."""

from __future__ import annotations

import io
import zipfile
from dataclasses import asdict
from typing import IO, Any

from bench import course
from bench.harness import Result, at_most, fresh_database, paired, silence

LEARNERS = 10_000


def measure() -> list[Result]:
    """Return the seconds of the whole job but for the transfer to S3."""
    with fresh_database(), silence():
        from chalicelib import database
        from chalicelib.aws import files
        from chalicelib.delivery.archives import jobs
        from chalicelib.delivery.archives.names import Wish
        from chalicelib.schedules.jobs import Task

        with database.scope(statement_timeout_seconds=600) as session:
            made = course.make(session, LEARNERS)
        wish = asdict(Wish(first=made.columns["key"], second=made.columns["email"]))
        task = Task(0, made.workflow_id, made.user_id, {"action": made.action_id, "wish": wish}, 1)
        stored: list[bytes] = []

        def keep(_key: str, body: IO[bytes], _content_type: str) -> None:
            stored[:] = [body.read()]

        kept, files.put = files.put, keep  # type: ignore[assignment]
        try:
            jobs.build_archive(task)
            with zipfile.ZipFile(io.BytesIO(stored[0])) as archive:
                pages = {name: archive.read(name) for name in archive.namelist()}
            assert len(pages) == LEARNERS

            def bare() -> Any:
                with zipfile.ZipFile(io.BytesIO(), "w", zipfile.ZIP_DEFLATED, compresslevel=4) as target:
                    for name, page in pages.items():
                        target.writestr(name, page)

            return [at_most("ZIP of 10k pages", *paired(lambda: jobs.build_archive(task), bare, rounds=3), limit=4.0)]
        finally:
            files.put = kept
