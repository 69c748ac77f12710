"""The errors a person or a partner system can cause.

    AppError
    ├── NotFound      404  there is no such thing, or it is not yours: both look the same
    ├── Forbidden     403  it is yours to see, but not yours to change
    ├── Invalid       422  what was sent can't be used; a message per field says what to do
    ├── Conflict      409  somebody else changed it meanwhile
    ├── Limit         429  too much or too often (413 when it is a size)
    └── Unavailable   503  a part is not reachable now; trying again later helps
        ├── Asleep         the database can't be reached: nothing was done, the same again is safe
        ├── Updating       the database still waits for this release: nothing was done either
        └── Lost           the database went away in the middle

Services raise these; only `web.page` and the queue entry points turn them into pages or retries.
"""

from __future__ import annotations

from collections.abc import Mapping


class AppError(Exception):
    """The base of every error whose message is fit for the person who uses the page."""

    status = 500

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class NotFound(AppError):
    """Raised when an object does not exist or belongs to somebody else."""

    status = 404

    def __init__(self, message: str = "This page does not exist, or it is not yours to see.") -> None:
        super().__init__(message)


class Forbidden(AppError):
    """Raised when somebody may see an object but not do this with it."""

    status = 403


class Invalid(AppError):
    """Raised when input can't be used; `fields` maps a field's name to what to do about it."""

    status = 422

    def __init__(self, message: str, fields: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.fields = dict(fields or {})


class Conflict(AppError):
    """Raised when the object changed since the person last saw it."""

    status = 409


class Limit(AppError):
    """Raised when something is too large (`status=413`) or comes too often (429)."""

    status = 429

    def __init__(self, message: str, status: int = 429, retry_after_seconds: int | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.retry_after_seconds = retry_after_seconds


class Unavailable(AppError):
    """Raised when a needed part (database, AWS) can't be reached now."""

    status = 503


class Asleep(Unavailable):
    """Raised before anything was done: the database can't be reached, most likely because it is waking up."""

    def __init__(self, message: str = "The database is waking up. Please try again in a moment.") -> None:
        super().__init__(message)


class Updating(Unavailable):
    """Raised before anything was done: the database does not have the schema of this release yet."""

    def __init__(self, message: str = "OnTask is being updated. Please try again in a moment.") -> None:
        super().__init__(message)


class Lost(Unavailable):
    """Raised when the connection to the database broke after work had begun.

    `is_undone` says that nothing was changed; without it nobody knows.
    """

    def __init__(self, *, is_undone: bool) -> None:
        super().__init__(
            "The connection to the database broke. Nothing was changed; please try again."
            if is_undone
            else "The connection to the database broke while this was being saved. "
            "Nobody can say whether it was: please look before you do it again."
        )
        self.is_undone = is_undone
