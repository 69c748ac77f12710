"""Why a launch is refused: what the person reads, and what the LMS and the log are told."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import parse_qsl, urlencode, urlsplit

from chalicelib import errors

#: What to do is said to the person who sees it, who is a learner most likely.
MESSAGES = {
    "not_set_up": "This installation of OnTask is not connected to an LMS yet. Please tell your teacher.",
    "key": "OnTask does not know the key that your LMS uses. Please tell your teacher: the key in the LMS and the one "
    "in OnTask must be the same.",
    "signature": "The signature of your LMS is not right. Please tell your teacher: the secret and the address of the "
    "tool in the LMS must be the ones of OnTask.",
    "time": "This link was opened too long ago, or the clock of your LMS is wrong. Please go back to your course and "
    "open it again.",
    "replay": "This page was opened with a link that works once. Please go back to your course and open it again.",
    "no_email": "Your LMS did not tell your e-mail address, by which OnTask knows you. Please tell your teacher: the "
    "LMS must be set to share the address with this tool.",
    "bad_email": "What your LMS told as your e-mail address is none. Please tell your teacher.",
    "role": "Your LMS says that you are neither a learner nor a teacher of this course. Please tell your teacher.",
    "closed": "Your account is closed. Please tell your teacher.",
}


class Refused(errors.Forbidden):
    """Raised when a launch can't be let in; `reason` is a key of MESSAGES."""

    def __init__(self, reason: str) -> None:
        super().__init__(MESSAGES[reason])
        self.reason = reason


def way_back(fields: Mapping[str, str], message: str) -> str:
    """Return the address of the LMS to which a refused launch leads back, with what to tell there; "" for none.

    The fields must be signed: anybody could write an address into others.
    """
    url = fields.get("launch_presentation_return_url", "")
    try:
        parts = urlsplit(url)
    except ValueError:
        return ""
    if parts.scheme not in {"http", "https"} or not parts.netloc:
        return ""
    query = [*parse_qsl(parts.query, keep_blank_values=True), ("lti_errormsg", message)]
    return parts._replace(query=urlencode(query)).geturl()
