"""The round through the files for everybody: those that no form, schedule or late run has leave the store."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import sqlalchemy as sa

from chalicelib import clock, database
from chalicelib.aws import files
from chalicelib.delivery import attachments
from chalicelib.schedules.jobs import Task, job

#: A file stays for so long after it came, used or not: longer than a form is kept.
KEPT = timedelta(days=30)
#: The files of a run stay for so long after it was confirmed, for who looks back at what was sent.
KEPT_OF_RUNS = timedelta(days=400)
#: A deleted schedule may be brought back, so that its files stay as long as its row.
_USED = sa.text("""
    SELECT one ->> 'key' FROM ontask.run, jsonb_array_elements(attached) one
    WHERE created_at >= :since OR state IN ('scheduled', 'held', 'running', 'paused')
    UNION SELECT one ->> 'key' FROM ontask.run_draft, jsonb_array_elements(attached) one
    UNION SELECT one ->> 'key' FROM ontask.schedule, jsonb_array_elements(payload -> 'attached') one
    WHERE jsonb_typeof(payload -> 'attached') = 'array'
    UNION SELECT one ->> 'key' FROM ontask.schedule, jsonb_array_elements(steps) step,
                                    jsonb_array_elements(step -> 'payload' -> 'attached') one
    WHERE jsonb_typeof(step -> 'payload' -> 'attached') = 'array'""")


@job(attachments.SWEEP)
def remove_unused_files(_task: Task) -> dict[str, Any]:
    """Delete files that came long ago and that no draft, schedule or run of the last time has. Result: `removed`."""
    before = clock.now() - KEPT
    old = [key for key, changed_at in files.listed(f"{attachments.FOLDER}/") if changed_at < before]
    if not old:
        return {"removed": 0}
    with database.scope() as session:
        used = set(session.scalars(_USED, {"since": clock.now() - KEPT_OF_RUNS}))
    unused = [key for key in old if key not in used]
    for key in unused:
        files.remove(key)
    return {"removed": len(unused)}
