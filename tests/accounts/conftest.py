"""The LMSs that may launch."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from chalicelib.settings import settings
from tests.accounts.lms import CANVAS, SECRET
from tests.conftest import Clock


@pytest.fixture
def lms(monkeypatch: pytest.MonkeyPatch, frozen_clock: Clock) -> Iterator[None]:
    """Two LMSs: one with all options, one with none."""
    known = {
        "canvas": {"secret": SECRET, "origins": [CANVAS]},
        "trusted": {
            "secret": "s2", "instructors": True, "role_field": "custom_roles",
            "instructor_roles": ["Instructor", "TeachingAssistant"],
        },
        "moodle": "s3",
    }  # fmt: skip
    monkeypatch.setenv("LTI_CREDENTIALS", json.dumps(known))
    settings.cache_clear()
    yield
    monkeypatch.undo()
    settings.cache_clear()
