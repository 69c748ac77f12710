"""The round through the pictures of texts: those that nothing shows any more are taken out of the file store."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import sqlalchemy as sa

from chalicelib import clock, database
from chalicelib.actions import images
from chalicelib.aws import files
from chalicelib.schedules.jobs import Task, job
from chalicelib.tables import store

#: A picture stays for so long after it came, used or not: texts are begun and laid aside, and files with workflows in
#: them are kept elsewhere and come back.
KEPT = timedelta(days=180)
_STEM = re.compile(r"[0-9]+-[A-Za-z0-9_-]+")
#: Whatever may be shown again: texts as they are, were and will be, and what mails were sent with.
_USED = sa.text("""
    SELECT DISTINCT (regexp_matches(written, '/images/([0-9]+-[A-Za-z0-9_-]+)[.]', 'g'))[1] FROM (
        SELECT text AS written FROM ontask.action UNION ALL SELECT text FROM ontask.text_version
        UNION ALL SELECT text FROM ontask.text_draft
        UNION ALL SELECT description || ' ' || feedback FROM ontask.rubric_cell
        UNION ALL SELECT text || ' ' || CAST(details AS text) FROM ontask.run
        UNION ALL SELECT CAST(document AS text) FROM ontask.import
    ) all_texts WHERE written LIKE '%/images/%'""")


@job(images.SWEEP)
def remove_unused_images(_task: Task) -> dict[str, Any]:
    """Delete pictures that came long ago and that no text, version, draft, run or waiting import has. Result:
    `removed`."""
    before = clock.now() - KEPT
    old = [key for key, changed_at in files.listed(images.FOLDER) if changed_at < before]
    if not old:
        return {"removed": 0}
    with database.scope(statement_timeout_seconds=store.BULK_SECONDS) as session:
        used = set(session.scalars(_USED))
    unused = [key for key in old if (stem := _stem(key)) and stem not in used]
    for key in unused:
        files.remove(key)
    return {"removed": len(unused)}


def _stem(key: str) -> str:
    """Return what texts call the picture; "" for what is none of ours."""
    stem = key.removeprefix(images.FOLDER).rpartition(".")[0]
    return stem if _STEM.fullmatch(stem) else ""
