"""What LMSs told with their launches, kept in the session that they began."""

from __future__ import annotations

from collections.abc import Mapping
from uuid import UUID

from sqlalchemy import delete, literal, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session as Transaction

from chalicelib import clock
from chalicelib.accounts.models import Launch

#: So many launches of a session are kept, one for each place in the LMS; the oldest go first.
MAX_KEPT = 10
MAX_FIELD_LENGTH = 2000
_CUSTOM = ("account_id", "account_sis_id", "api_domain", "course_id", "enrollment_state", "membership_roles", "user_id",
           "user_login_id")  # fmt: skip
#: What is kept; an LMS sends more, and what is its own business stays there.
FIELDS = frozenset({
    *(f"context_{name}" for name in ("id", "label", "title", "type")),
    *(f"custom_canvas_{name}" for name in _CUSTOM),
    *(f"launch_presentation_{name}" for name in (
        "css_url", "document_target", "height", "locale", "return_url", "width")),
    "lis_course_offering_sourcedid", "lis_outcome_service_url",
    *(f"lis_person_{name}" for name in (
        "contact_email_primary", "name_family", "name_full", "name_given", "sourcedid")),
    "lti_message_type", "lti_version",
    *(f"resource_link_{name}" for name in ("description", "id", "title")),
    "roles", "selection_directive",
    *(f"tool_consumer_{name}" for name in (
        "info_product_family_code", "info_version", "instance_contact_email", "instance_description", "instance_guid",
        "instance_name", "instance_url")),
    "user_id", "user_image",
})  # fmt: skip


def keep(session: Transaction, session_id: str, consumer_key: str, fields: Mapping[str, str]) -> None:
    """Keep what this launch told, instead of what an earlier one from the same place did."""
    told = {name: value[:MAX_FIELD_LENGTH] for name, value in fields.items() if name in FIELDS and value}
    row = {
        "consumer_key": consumer_key[:MAX_FIELD_LENGTH], "fields": told, "received_at": clock.now(),
    }  # fmt: skip
    place = told.get("resource_link_id", "")
    session.execute(
        insert(Launch)
        .values(session_id=UUID(session_id), resource_link_id=place, **row)
        .on_conflict_do_update(index_elements=["session_id", "resource_link_id"], set_=row)
    )
    newest = (
        select(Launch.id)
        .where(Launch.session_id == UUID(session_id))
        .order_by(Launch.received_at.desc(), Launch.id.desc())
        .limit(MAX_KEPT)
    )
    session.execute(delete(Launch).where(Launch.session_id == UUID(session_id), Launch.id.not_in(newest)))


def newest(session: Transaction, session_id: str) -> Launch | None:
    """Return the latest launch of the session: where in the LMS this person came from."""
    return session.scalar(
        select(Launch)
        .where(Launch.session_id == UUID(session_id))
        .order_by(Launch.received_at.desc(), Launch.id.desc())
        .limit(1)
    )


def copy(session: Transaction, from_id: str, to_id: str) -> None:
    """Let another session of the same person know the launches, too."""
    names = ["resource_link_id", "consumer_key", "fields", "received_at"]
    rows = select(literal(UUID(to_id)), *(Launch.__table__.c[name] for name in names))
    known = rows.where(Launch.session_id == UUID(from_id))
    session.execute(insert(Launch).from_select(["session_id", *names], known, include_defaults=False))
