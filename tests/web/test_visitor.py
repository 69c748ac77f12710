"""Whose wrong passwords are counted together, when everybody comes through CloudFront."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import boto3
import pytest

from chalicelib.aws import secrets
from chalicelib.settings import settings
from tests.conftest import Browser

EDGE = "ontask-test-edge"
NUMBERS = itertools.count()
KEY = "a key that only the distribution knows"


@pytest.fixture
def edge(aws: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """An installation behind a distribution."""
    boto3.client("secretsmanager").create_secret(Name=EDGE, SecretString=KEY)
    monkeypatch.setenv("EDGE_KEY_SECRET", EDGE)
    settings.cache_clear()
    secrets.forget()
    yield
    monkeypatch.undo()
    settings.cache_clear()
    secrets.forget()


def guess(visitor: Browser, key: str, hops: str, *, times: int = 1) -> str:
    """Try wrong passwords for different accounts; return what is said to the last one."""
    visitor.headers = {"x-ontask-edge": key, "x-forwarded-for": hops} if key else {"x-forwarded-for": hops}
    token = visitor.csrf_token()
    for _ in range(times):
        fields = {"csrf_token": token, "email": f"somebody{next(NUMBERS)}@uni.example", "password": "a wrong one"}
        body = visitor.post("/sign-in", fields).body
    return body


def test_one_who_guesses_slows_down_nobody_else(edge: None, visitor: Browser) -> None:
    assert "Too many wrong passwords" in guess(visitor, KEY, "198.51.100.7, 192.0.2.1", times=32)
    assert "Too many wrong passwords" not in guess(visitor, KEY, "198.51.100.8, 192.0.2.1")


@pytest.mark.parametrize("key", ["", "not the key"])
def test_nobody_else_is_believed_about_addresses(edge: None, visitor: Browser, key: str) -> None:
    for last in range(31):
        said = guess(visitor, key, f"198.51.100.{last}, 192.0.2.1")
    assert "Too many wrong passwords" in guess(visitor, key, "198.51.100.99, 192.0.2.1", times=2), said
