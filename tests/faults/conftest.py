"""The fault tests use delivery's small cloud, and the course whose table is filled through the pages."""

from tests.delivery.conftest import cloud, make_course, ses
from tests.tables.conftest import course

__all__ = ["cloud", "course", "make_course", "ses"]
