"""What the driver's errors mean."""

from __future__ import annotations

import ssl

#: What PostgreSQL says when it stops, starts, ends an idle session or has no connection left (its appendix A).
DISCONNECTS = {"57P01", "57P02", "57P03", "57P05", "53300", "08000", "08003", "08006"}


def is_disconnect(error: BaseException) -> bool:
    """Tell whether a driver's error means that there is no connection, not that the statement was wrong."""
    from pg8000 import exceptions

    if isinstance(error, ssl.SSLCertVerificationError):
        return False  # a wrong setting: waiting does not help
    return isinstance(error, OSError | exceptions.InterfaceError) or sqlstate(error) in DISCONNECTS


def sqlstate(error: BaseException) -> str:
    """Return the code of what PostgreSQL answered; pg8000 gives its fields as a dict, the SQLSTATE under C."""
    fields = error.args[0] if error.args else None
    return str(fields.get("C", "")) if isinstance(fields, dict) else ""
