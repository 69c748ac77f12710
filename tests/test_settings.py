"""Settings come from the environment, and the documentation lists every one."""

from __future__ import annotations

import pytest

from chalicelib import settings
from local import configuration


def test_the_configuration_page_lists_every_setting_as_it_is() -> None:
    assert configuration.TARGET.read_text() == configuration.page()


def test_an_empty_variable_counts_as_absent() -> None:
    assert settings.read({"MAIL_RATE": " ", "UNDO_SECONDS": ""}).mail_rate == 14.0


def test_a_number_that_is_none_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match="MAIL_RATE must be a float, not 'many'"):
        settings.read({"MAIL_RATE": "many"})


def test_no_installation_starts_with_a_short_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET_KEY", "short")
    settings.settings.cache_clear()
    with pytest.raises(RuntimeError, match="at least 32 bytes"):
        settings.secret_key()
    monkeypatch.undo()
    settings.settings.cache_clear()
