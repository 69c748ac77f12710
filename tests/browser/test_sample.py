"""What a new user finds who has just typed `make run`."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser as Chromium
from playwright.sync_api import expect

from tests.browser.conftest import Product, start, stop


@pytest.fixture
def sample(worker_id: str) -> Iterator[tuple[Product, str]]:
    """An installation with its sample course, and what it said when it started."""
    made, said = start(f"sample-{worker_id}")
    yield made, said
    stop(made)


def test_the_sample_course_is_alive(sample: tuple[Product, str], chromium: Chromium) -> None:
    product, said = sample
    email, password = re.findall(r"Sign in +(\S+)\s+Password +(\S+)", said)[0]
    page = chromium.new_context().new_page()
    page.goto(product.url)
    page.get_by_label("E-mail").fill(email)
    page.get_by_label("Password").fill(password)
    page.keyboard.press("Enter")
    page.get_by_role("link", name="Sample course: Introduction to Statistics").first.click()
    page.get_by_role("link", name="Activity", exact=True).click()
    page.get_by_role("link", name="Sending", exact=True).click()
    expect(page.get_by_text("finished sending").first).to_be_visible()
    page.context.close()
