"""The other system, and the setting that lets requests reach it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from chalicelib.settings import settings
from tests.delivery.push.server import Other, serving


@pytest.fixture
def other(monkeypatch: pytest.MonkeyPatch) -> Iterator[Other]:
    """A system on this machine that the operator allows."""
    monkeypatch.setenv("PUSH_HOSTS", "127.0.0.1, inside.example")
    settings.cache_clear()
    with serving() as other:
        yield other
    monkeypatch.undo()
    settings.cache_clear()
