"""Who a signed launch speaks of: address, name, and what they are in the course."""

from __future__ import annotations

import re
from collections.abc import Mapping

from chalicelib.accounts.lti.credentials import Credential

#: Roles of LIS 2.0 as they are written in LTI 1.1 and 1.2, in lower case; `student` is what an institution says.
LEARNERS = {"learner", "student"}
TEACHERS = {"instructor", "teachingassistant", "contentdeveloper", "administrator"}
#: Roles in the whole institution or system say nothing about this course.
_ELSEWHERE = re.compile(r"(sysrole|instrole|/system/|/institution/)", re.IGNORECASE)


def roles(fields: Mapping[str, str], credential: Credential) -> set[str]:
    """Return the names of the roles in lower case: `urn:lti:role:ims/lis/Learner/GuestLearner` has both of its names.

    A role within the course is returned as it is, one of the institution or the system with a leading `~`.
    """
    told = [fields.get("roles", ""), fields.get(credential.role_field, "") if credential.role_field else ""]
    written = [role.strip() for text in told for role in text.split(",") if role.strip()]
    return {
        ("~" if _ELSEWHERE.search(role) else "") + name.lower()
        for role in written
        for name in re.split(r"[/#:]", role)
        if name
    }


def may_enter(found: set[str]) -> bool:
    """Tell whether one of the roles is a learner's or a teacher's."""
    return any(role.lstrip("~") in LEARNERS | TEACHERS for role in found)


def is_instructor(found: set[str], credential: Credential) -> bool:
    """Tell whether one of the roles in this course makes an instructor, where the credential allows that at all."""
    return credential.makes_instructors and bool(found & credential.instructor_roles)


def email(fields: Mapping[str, str]) -> str:
    """Return the address, "" when the LMS keeps it for itself."""
    return fields.get("lis_person_contact_email_primary", "").strip()


def name(fields: Mapping[str, str]) -> str:
    """Return what to call the person: their name, else what else the LMS knows them by."""
    parts = [fields.get(f"lis_person_name_{part}", "").strip() for part in ("given", "family", "full")]
    lms_id = fields.get("custom_canvas_user_id") or fields.get("user_id", "")
    named = " ".join(filter(None, parts[:2])) or parts[2] or fields.get("lis_person_sourcedid", "").strip()
    return (named or (f"cuid:{lms_id}" if lms_id else ""))[:200]
