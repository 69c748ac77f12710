"""Is it up? The shallow check leaves a sleeping database asleep."""

from __future__ import annotations

from chalice import Response
from sqlalchemy import text

from chalicelib import database, errors


def check(*, deep: bool) -> Response:
    """Answer 200, or 503 when the database was asked for and does not answer."""
    if deep:
        try:
            with database.scope() as session:
                session.execute(text("SELECT 1"))
        except errors.Unavailable as error:
            status = "being updated" if isinstance(error, errors.Updating) else "no database"
            return Response({"status": status}, status_code=503, headers={"Retry-After": "5"})
    return Response({"status": "ok"}, headers={"Cache-Control": "no-store"})
