"""The whole product as `make run` starts it, and a Chromium in front of it."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from playwright.sync_api import Browser as Chromium
from playwright.sync_api import BrowserContext, Page, expect, sync_playwright
from sqlalchemy.orm import Session

from chalicelib import database, signing
from chalicelib.accounts import passwords, sessions
from chalicelib.accounts.models import User
from chalicelib.web import cookies, static
from chalicelib.workflows import service as workflows
from chalicelib.workflows.models import Workflow
from local import browser as finder
from local import postgres
from tests.browser.lms import Lms
from tests.conftest import ENVIRONMENT, ROOT, TEST_DATA, make_user

AXE = (ROOT / "node_modules" / "axe-core" / "axe.min.js").read_text
PASSWORD = "green tea at half past nine"
DESKTOP, PHONE = {"width": 1280, "height": 800}, {"width": 360, "height": 740}

#: For pages of a test's own; as strict as the product's.
POLICY = "default-src 'self'; img-src 'self' data:"

#: A machine with two cores that runs two tests at once may take its time.
PATIENCE_MS = 15_000
expect.set_options(timeout=PATIENCE_MS)

NOTE_VIOLATIONS = """
window.__violations = [];
document.addEventListener("securitypolicyviolation",
  (event) => window.__violations.push(event.violatedDirective + " " + event.blockedURI));
"""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent):
            item.add_marker(pytest.mark.browser)


@dataclass
class Product:
    """A running installation."""

    url: str
    data: Path
    process: subprocess.Popen[str]

    def create_user(self, email: str, role: str = "instructor") -> str:
        """Create an account on the command line; return its one-time link."""
        port = self.url.rpartition(":")[2]
        command = [str(Path(sys.executable).parent / "ontask"), "create-user", email, "--role", role]
        done = subprocess.run(
            [*command, "--data", str(self.data), "--port", port, "--name", "Ines Instructor"],
            cwd=ROOT, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, f"{done.stdout}{done.stderr}"
        return done.stdout.strip().splitlines()[-1]

    @contextmanager
    def database(self) -> Iterator[Session]:
        """Open the installation's database; what the block does there is kept."""
        engine = database.make(f"{postgres.start(self.data / 'postgres', durable=True)}/ontask", local=True)
        with Session(engine, expire_on_commit=False) as session:
            yield session
            session.commit()
        engine.dispose()

    def mails(self) -> list[list[str]]:
        """Return the recipients of every mail that left."""
        with sqlite3.connect(self.data / "cloud" / "outbox.sqlite") as outbox:
            return [json.loads(row[0]) for row in outbox.execute("SELECT recipients FROM mail ORDER BY at")]


def start(name: str, *options: str, **settings: str) -> tuple[Product, str]:
    """Start a fresh installation; return it with what it said."""
    data = TEST_DATA / name
    postgres.stop(data / "postgres")  # of a test run that was killed
    for old in (data, postgres.home(data / "postgres")):
        shutil.rmtree(old, ignore_errors=True)
    data.mkdir(parents=True)
    (data / "secret").write_text(ENVIRONMENT["SECRET_KEY"])  # what a test signs is valid there
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = {**os.environ, "MAIL_RATE": "500", "UNDO_SECONDS": "2", "SAFE_MODE_ADDRESS": "", **settings}
    process = subprocess.Popen(
        [sys.executable, "-m", "local.run", "--port", str(port), "--data", str(data), *options],
        cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment,
    )  # fmt: skip
    assert process.stdout is not None
    said = []
    for line in process.stdout:
        said.append(line)
        if "Ctrl-C" in line:
            break
    else:
        raise RuntimeError("the product does not start:\n" + "".join(said))
    return Product(f"http://127.0.0.1:{port}", data, process), "".join(said)


def stop(product: Product) -> None:
    """Stop it as Ctrl-C does."""
    product.process.send_signal(signal.SIGINT)
    product.process.wait(timeout=30)


@pytest.fixture(scope="session")
def lms() -> Iterator[Lms]:
    """An LMS at another site than the product: `localhost` is not `127.0.0.1`."""
    made = Lms()
    yield made
    made.stop()


@pytest.fixture(scope="session")
def product(worker_id: str, lms: Lms) -> Iterator[Product]:
    """A fresh installation for each test process: no sample course, a short undo window, a fast lane."""
    made, _ = start(f"browser-{worker_id}", "--no-sample", LTI_CREDENTIALS=lms.credentials)
    yield made
    stop(made)


@pytest.fixture(scope="session")
def chromium() -> Iterator[Chromium]:
    """One Chromium for all tests."""
    found = finder.find()
    with sync_playwright() as playwright:
        made = playwright.chromium.launch(
            executable_path=found.program, args=found.flags, env={**found.environment} or None
        )
        yield made
        made.close()


@dataclass
class Visit:
    """A page with what went wrong on it."""

    page: Page
    product: Product
    problems: list[str]

    def go(self, path: str) -> None:
        """Open a path of the product."""
        self.page.goto(path if path.startswith("http") else self.product.url + path)

    def check(self) -> None:
        """Fail on a policy violation, a script error, a finding of axe-core or a page wider than the window."""
        self.page.wait_for_load_state()
        self.problems += self.page.evaluate("window.__violations || []")
        assert self.problems == []
        wide = self.page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
        assert wide <= 0, f"{self.page.url} is {wide} px too wide"
        if not self.page.evaluate("'axe' in window"):
            self.page.evaluate(AXE())
        found = self.page.evaluate(
            "axe.run(document, {resultTypes: ['violations']}).then((r) => r.violations.map((v) => "
            "v.id + ': ' + v.nodes.map((n) => n.html.slice(0, 200) + ' ' + (n.any[0]?.message || '')).join(' | ')))"
        )
        assert found == [], f"{self.page.url}: {found}"

    def enter(self, password: str | None = None) -> User:
        """Be signed in as a new instructor, without the pages that lead there."""
        with self.product.database() as session:
            user = make_user(session, f"{uuid4().hex}@uni.example")
            user.password_hash = password and passwords.hash_new(password, user.email)
            token = signing.sign("session", {"sid": sessions.begin(session, user, "a test")}, cookies.SESSION_LIFETIME)
        self.page.context.add_cookies([{"name": cookies.SESSION, "value": token, "url": self.product.url}])
        return user

    @contextmanager
    def course(self, user: User | None = None) -> Iterator[tuple[Session, Workflow]]:
        """Be signed in as a new instructor who has one workflow; what the block puts into it is kept."""
        user = user or self.enter()
        with self.product.database() as session:
            yield session, workflows.create(session, user.id, "Biology 101")

    def sign_in(self, email: str) -> None:
        """Make an account and set its password through the one-time link."""
        self.go(self.product.create_user(email))
        self.page.fill("input[name=password]", PASSWORD)
        self.page.fill("input[name=again]", PASSWORD)
        self.page.get_by_role("button", name="Save and sign in").click()
        self.page.wait_for_url(re.compile("/workflows"))


@pytest.fixture
def context(chromium: Chromium) -> Iterator[BrowserContext]:
    """A browser without cookies."""
    made = chromium.new_context(viewport=DESKTOP, reduced_motion="reduce")
    made.add_init_script(NOTE_VIOLATIONS)
    made.set_default_timeout(PATIENCE_MS)
    yield made
    made.close()


@pytest.fixture
def visit(product: Product, context: BrowserContext) -> Iterator[Visit]:
    """A page whose script errors and policy violations fail the test."""
    page = context.new_page()
    problems: list[str] = []

    def note(message: Any) -> None:
        if message.type == "error" and "status of 4" not in message.text:
            problems.append(message.text)

    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on("console", note)
    made = Visit(page, product, problems)
    yield made
    assert made.problems == []


@pytest.fixture
def site() -> Iterator[tuple[str, dict[str, str]]]:
    """A server of one page and the static files; the page's text is put into the dictionary."""
    pages = {"/": ""}

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body, kind = pages["/"].encode(), "text/html; charset=utf-8"
            if "/static/" in self.path:
                body, kind = static.read(self.path.partition("/static/")[2])
            self.send_response(200 if self.path != "/favicon.ico" else 404)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Security-Policy", POLICY)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/", pages
    server.shutdown()
    server.server_close()
