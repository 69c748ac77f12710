"""What has to be known before a request's transaction begins: no call to AWS is made inside one."""

from __future__ import annotations

from chalicelib.accounts import proxy
from chalicelib.accounts.lti import credentials
from chalicelib.settings import settings


def prepare(*, is_launch: bool) -> None:
    """Read the secrets that decide who comes in, where that was not done lately.

    Raises errors.Unavailable when Secrets Manager can't be reached and was not before.
    """
    if is_launch:
        credentials.all_known()
    if settings().remote_user_header:
        proxy.secret()
