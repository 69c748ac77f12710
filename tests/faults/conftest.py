"""The fault tests use delivery's small cloud."""

from tests.delivery.conftest import cloud, make_course, ses

__all__ = ["cloud", "make_course", "ses"]
