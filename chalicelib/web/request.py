"""What a view is told."""

from __future__ import annotations

from dataclasses import dataclass, field
from http.cookies import CookieError, SimpleCookie
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

from sqlalchemy.orm import Session

from chalicelib import errors

if TYPE_CHECKING:
    from chalicelib.accounts.models import Session as Visit
    from chalicelib.accounts.models import User
    from chalicelib.workflows.models import Workflow


#: The largest whole number of the database.
BIGGEST = 2**63 - 1


class Values:
    """Form fields or the query string: text by name, trimmed of nothing."""

    def __init__(self, values: dict[str, list[str]]) -> None:
        self._values = values

    def get(self, name: str, default: str = "") -> str:
        """Return the last value sent under `name`."""
        return self._values[name][-1] if self._values.get(name) else default

    def all(self, name: str) -> list[str]:
        """Return every value sent under `name`."""
        return list(self._values.get(name, []))

    def whole(self, name: str) -> int | None:
        """Return the whole number sent under `name`, None when it is absent or empty.

        Raises errors.Invalid when it is something else.
        """
        text = self.get(name).strip()
        return _whole(name, text) if text else None

    def wholes(self, name: str) -> list[int]:
        """Return every value under `name` as a whole number.

        Raises errors.Invalid when one is something else.
        """
        return [_whole(name, value) for value in self.all(name) if value]

    def checked(self, name: str) -> bool:
        """Tell whether the check box `name` was ticked."""
        return self.get(name) not in {"", "0", "false", "off"}

    def __contains__(self, name: object) -> bool:
        return name in self._values

    def as_dict(self) -> dict[str, str]:
        """Return the last value of every name."""
        return {name: values[-1] for name, values in self._values.items() if values}

    def lists(self) -> dict[str, list[str]]:
        """Return all values of every name."""
        return {name: list(values) for name, values in self._values.items()}


def _whole(name: str, text: str) -> int:
    """Read a whole number; one that the database can't hold is none of ours."""
    try:
        number = int(text)
    except ValueError:
        raise errors.Invalid("A whole number was expected.", {name: "Type a whole number."}) from None
    if abs(number) > BIGGEST:
        raise errors.Invalid("This number is too large.", {name: "Type a smaller number."})
    return number


@dataclass
class Request:
    """One request. `user` and `workflow` are there when the route's declaration says so."""

    session: Session
    method: str
    path: str
    headers: dict[str, str]
    query: Values
    form: Values
    address: str
    id: str
    cookies: dict[str, str] = field(default_factory=dict)
    signed_in: User | None = None
    #: The session by which they are signed in; how it began says `visit.kind`.
    visit: Visit | None = None
    session_id: str = ""
    #: All sessions that the browser's cookies speak of; some may be over.
    session_ids: list[str] = field(default_factory=list)
    #: What the answer sets besides its own: of a session that was begun on the way.
    new_cookies: list[str] = field(default_factory=list)
    #: A posted form as it was sent; signatures are over this.
    body: str = ""
    #: Whether an LMS has posted it to send somebody here, by LTI.
    is_launch: bool = False
    #: Whether the answer may be shown in a frame of an LMS.
    may_be_framed: bool = False
    role: str = ""
    _workflow: Workflow | None = None
    extras: dict[str, Any] = field(default_factory=dict)

    @property
    def user(self) -> User:
        """The signed-in user; only for routes that ask for one."""
        assert self.signed_in is not None, "this route is open to everybody"
        return self.signed_in

    @property
    def workflow(self) -> Workflow:
        """The workflow of the path; only for routes under `/workflows/{workflow_id}`."""
        assert self._workflow is not None, "this route has no workflow"
        return self._workflow

    @property
    def is_learner(self) -> bool:
        """Whether they have the rights of a learner only, whatever their account may do."""
        return self.visit is not None and self.visit.is_learner

    @property
    def wants_part(self) -> bool:
        """Whether HTMX asks for a part of the page instead of the whole."""
        whole = {"hx-boosted", "hx-history-restore-request"}
        return self.headers.get("hx-request") == "true" and all(self.headers.get(name) != "true" for name in whole)


def parse_form(body: bytes | str) -> Values:
    """Read an `application/x-www-form-urlencoded` body.

    Raises errors.Invalid when it is not UTF-8 or has more than 20,000 fields.
    """
    try:
        text = body.decode() if isinstance(body, bytes) else body
        fields = parse_qs(text, keep_blank_values=True, max_num_fields=20_000, errors="strict")
    except ValueError:
        raise errors.Invalid("The form could not be read. Please reload the page and try again.") from None
    # PostgreSQL's text can't hold NUL; browsers never send one.
    return Values({name: [v.replace("\0", "") for v in values] for name, values in fields.items()})


def parse_cookies(header: str) -> dict[str, str]:
    """Read the Cookie header (RFC 6265 §5.4); an unreadable one counts as none."""
    cookies: SimpleCookie = SimpleCookie()
    try:
        cookies.load(header)
    except CookieError:
        return {}
    return {name: morsel.value for name, morsel in cookies.items()}
