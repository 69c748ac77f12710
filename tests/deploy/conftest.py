"""An AWS account with nothing in it, and the ways of `make deploy` to it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from urllib.request import Request, urlopen

import pytest

from chalicelib.aws import client
from local import postgres
from tests.conftest import Clock
from tests.deploy import aws as emulated
from tests.deploy.templates import template
from tests.deploy.world import World

KINDS = {resource["Type"] for name in ("base", "edge") for resource in template(name)["Resources"].values()}


@pytest.fixture
def aws(moto: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The address of the emulated AWS: an account with nothing in it."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", moto)
    urlopen(Request(f"{moto}/moto-api/reset", method="POST")).close()
    emulated.Thing.live.clear()
    emulated.Database.snapshots.clear()
    client.forget()
    with emulated.taught(KINDS):
        yield moto
    client.forget()


@pytest.fixture
def world(aws: str, server: str, worker_id: str, frozen_clock: Clock, tmp_path: Path) -> Iterator[World]:
    """An empty account and an empty database."""
    name = f"deploy_{worker_id}"
    postgres.create_database(server, name, replace=True)
    yield World(tmp_path, frozen_clock, f"{server.replace('ontask@', '')}/{name}")
    postgres.drop_database(server, name)
