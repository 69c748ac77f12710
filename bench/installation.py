"""The product as `make run` serves it, with a sample course of 1,000 learners and a finished run."""

from __future__ import annotations

import os
import re
import socket
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import urlencode

from sqlalchemy import text

from bench.harness import fresh_database

LEARNERS = 1_000
SETTLING_SECONDS = 60


@dataclass(frozen=True)
class Installation:
    """Where it is served and the cookie of somebody who signed in there."""

    port: int
    cookie: str


@contextmanager
def installation() -> Iterator[Installation]:
    """Start gateway and emulated AWS; end them, and forget their places, afterwards."""
    from moto.s3.models import S3Backend

    from chalicelib import database
    from chalicelib.aws import client
    from chalicelib.settings import settings
    from local import parent, sample
    from local.cloud import Cloud

    environment = dict(os.environ)
    files = {"put_object": S3Backend.put_object, "delete_object": S3Backend.delete_object}
    with fresh_database(), tempfile.TemporaryDirectory() as folder:
        port = _free_port()
        os.environ["BASE_URL"] = f"http://127.0.0.1:{port}"
        settings.cache_clear()
        cloud = Cloud(Path(folder), base_url=settings().base_url)
        os.environ.update(cloud.environment, ONTASK_OUTBOX=str(cloud.outbox_path))
        settings.cache_clear()
        client.forget()
        children = []
        try:
            account = sample.make(LEARNERS)
            assert account is not None
            workers = parent.start("local.workers", dict(os.environ))
            children.append(workers)
            _settle()
            workers.kill()
            children.append(parent.start("local.web", dict(os.environ), str(port)))
            yield Installation(port, _sign_in(port, account.email, account.password))
        finally:
            for child in children:
                child.kill()
                child.wait()
            database.dispose()
            cloud.stop()
            for name, method in files.items():  # the cloud had these keep what they store
                setattr(S3Backend, name, method)
            for name in set(os.environ) - set(environment):
                del os.environ[name]
            os.environ.update(environment)
            settings.cache_clear()
            client.forget()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _settle() -> None:
    """Wait until it is written down what became of every mail, so that nothing works beside the pages."""
    from chalicelib import database

    query = text("SELECT count(*) FILTER (WHERE state = 'sent'), count(opened_at) FROM ontask.message")
    before = None
    for _ in range(SETTLING_SECONDS):
        with database.scope() as session:
            waiting, opened = session.execute(query).one()
        if not waiting and opened == before:
            return
        before = opened
        time.sleep(1)
    raise RuntimeError("the sample run does not end")


def _sign_in(port: int, email: str, password: str) -> str:
    """Return the session's cookie."""
    connection = HTTPConnection("127.0.0.1", port)
    connection.request("GET", "/sign-in")
    answer = connection.getresponse()
    visitor, page = answer.headers["Set-Cookie"].partition(";")[0], answer.read().decode()
    token = re.search(r'"X-CSRF-Token": "([^"]+)"', page)
    assert token is not None
    fields = urlencode({"csrf_token": token[1], "email": email, "password": password})
    headers = {"Cookie": visitor, "Content-Type": "application/x-www-form-urlencoded"}
    connection.request("POST", "/sign-in", fields, headers)
    answer = connection.getresponse()
    answer.read()
    assert answer.status == 303, answer.status
    cookies = [line.partition(";")[0] for line in answer.headers.get_all("Set-Cookie", [])]
    return next(cookie for cookie in cookies if cookie.startswith("ontask_session="))
