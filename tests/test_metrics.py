"""What is written for CloudWatch, and that its page in the documentation tells the same."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

from chalicelib import logs, metrics
from chalicelib.settings import settings
from tests.conftest import ROOT, Browser

LINE = re.compile(r"^\| `(\w+)` \| (\w+) \| (.+) \|$", re.MULTILINE)


@pytest.fixture
def lines() -> Iterator[list[dict[str, Any]]]:
    """What is written."""
    found: list[dict[str, Any]] = []
    metrics.listen(found.append)
    yield found
    metrics.listen(None)


def test_the_page_lists_every_metric_as_it_is() -> None:
    page = (ROOT / "docs" / "metrics.md").read_text()
    assert LINE.findall(page) == [(metric.name, metric.unit, metric.meaning) for metric in metrics.ALL]
    assert f"Namespace `{metrics.NAMESPACE}`, dimension `{metrics.DIMENSION}`" in page
    for name in re.findall(r"`([A-Z]\w+)` (?:maximum |p95 )?(?:or|above)", page):
        assert name in {metric.name for metric in metrics.ALL}, f"there is no metric {name}"


def test_a_line_is_what_cloudwatch_reads(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("ONTASK_STAGE", "prod")
    settings.cache_clear()
    with logs.follow("request-1"):
        metrics.put({metrics.MAILS_SENT: 12, metrics.LATENESS: 0.5}, lane="ses")
    monkeypatch.undo()
    settings.cache_clear()
    (line,) = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    (directive,) = line["_aws"]["CloudWatchMetrics"]
    assert (directive["Namespace"], directive["Dimensions"], line["stage"]) == ("OnTask", [["stage"]], "prod")
    assert [(metric["Name"], metric["Unit"]) for metric in directive["Metrics"]] == [
        ("MailsSent", "Count"), ("LatenessSeconds", "Seconds"),
    ]  # fmt: skip
    assert (line["MailsSent"], line["LatenessSeconds"], line["lane"]) == ([12.0], [0.5], "ses")
    assert line["correlation_id"] == "request-1"


def test_nothing_is_written_on_one_machine(visitor: Browser, capsys: pytest.CaptureFixture[str]) -> None:
    assert visitor.get("/sign-in").status == 200
    assert "_aws" not in capsys.readouterr().out


def test_a_request_is_measured_under_its_route_and_not_its_path(visitor: Browser, lines: list[dict[str, Any]]) -> None:
    page = visitor.get("/u/a-secret-token")
    (line,) = lines
    assert (line["route"], line["status"], line["ServerErrors"]) == ("/u/{token}", page.status, [0.0])
    assert line["RequestDuration"][0] > 0
    assert line["correlation_id"] == page.headers["X-Request-Id"]
    assert "a-secret-token" not in json.dumps(line)
