"""Which LMSs may send people here: a key and a secret for each, and what it may do.

In the cloud they are JSON in Secrets Manager, read again after five minutes, on one machine in the environment:

    {"canvas": {"secret": "…", "origins": ["https://canvas.uni.example"]}, "moodle": {"secret": "…"}}
    canvas=…,moodle=…
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any

from chalicelib.aws import secrets
from chalicelib.logs import logger
from chalicelib.settings import settings

#: For so long a secret that was replaced goes on being used.
SECONDS = 300
#: As in RFC 6454 §7: a scheme, a host, maybe a port; anything else would widen the policy of frames.
_ORIGIN = re.compile(r"https?://[a-z0-9.-]+(:\d{1,5})?", re.ASCII)


@dataclass(frozen=True)
class Credential:
    """An LMS: its key, its secret, and the options of `docs/operators.md`."""

    key: str
    secret: str
    origins: tuple[str, ...] = ()
    makes_instructors: bool = False
    instructor_roles: frozenset[str] = frozenset({"instructor"})
    role_field: str = ""


def all_known() -> dict[str, Credential]:
    """Return every credential by its key; what can't be read is logged and left out.

    Raises errors.Unavailable when Secrets Manager can't be reached and was not before.
    """
    name = settings().lti_credentials_secret
    return parse(secrets.recent(name, SECONDS) if name else settings().lti_credentials)


def origins() -> list[str]:
    """Return the origins of all LMSs that may show our pages for learners in a frame."""
    return sorted({origin for credential in all_known().values() for origin in credential.origins})


def parse(text: str) -> dict[str, Credential]:
    """Read either form; what can't be read is logged, without its words, and left out."""
    if not text.strip().startswith("{"):
        pairs = (pair.partition("=") for pair in text.split(","))
        return {key.strip(): Credential(key.strip(), secret.strip()) for key, _, secret in pairs if secret.strip()}
    try:
        stored = json.loads(text)
    except ValueError:
        logger().error("the LTI credentials are not JSON")
        return {}
    found = {key: _credential(key, options) for key, options in stored.items()}
    return {key: credential for key, credential in found.items() if credential is not None}


def _credential(key: str, options: Any) -> Credential | None:
    known = options if isinstance(options, dict) else {"secret": options}
    origins, roles = known.get("origins", []), known.get("instructor_roles", ["Instructor"])
    right = all(isinstance(value, str) for value in (known.get("secret"), known.get("role_field", "")))
    if not right or not known["secret"] or not isinstance(origins, list) or not isinstance(roles, list):
        logger().error("an LTI credential can't be used", extra={"consumer_key": key})
        return None
    usable = tuple(origin for origin in map(str, origins) if _ORIGIN.fullmatch(origin))
    if len(usable) < len(origins):
        logger().error("an origin of an LTI credential can't be used", extra={"consumer_key": key})
    return Credential(
        key, known["secret"], usable, known.get("instructors") is True,
        frozenset(str(role).lower() for role in roles), known.get("role_field", ""),
    )  # fmt: skip
