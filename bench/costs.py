"""What an installation on AWS costs: `python -m bench.costs` measures on this machine and writes docs/costs.md.

Prices are list prices in US dollars for us-east-1, without free tiers, taxes or discounts. Durations are measured
here, on one processor; a Lambda function has one at 1,769 MB (AWS Lambda Developer Guide, "Configure Lambda function
memory"), so they are stretched for functions that have less.
"""

from __future__ import annotations

import json
import os
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import urlsplit

from sqlalchemy import text

from bench import course, sending
from bench.harness import ENVIRONMENT, ROOT, fresh_database, say, silence, stop_database, timed

PAGE = ROOT / "docs" / "costs.md"
CONFIG = json.loads((ROOT / ".chalice" / "config.json").read_text())["lambda_functions"]

#: The pricing pages of aws.amazon.com that the figures below are from: lambda, api-gateway, sqs, sns, ses,
#: eventbridge, rds/aurora, vpc, s3, cloudwatch, secrets-manager.
PRICED_ON = "June 2026"
LAMBDA_GB_SECOND, LAMBDA_REQUEST = 0.0000166667, 0.20e-6
API_REQUEST, SQS_REQUEST, SNS_PUBLISH = 3.50e-6, 0.40e-6, 0.50e-6
SES_MAIL, SES_GB = 0.10 / 1000, 0.12
ACU_HOUR, STORAGE_GB_MONTH, IO_REQUEST = 0.12, 0.10, 0.20e-6
NAT_HOUR, NAT_GB, ADDRESS_HOUR = 0.045, 0.045, 0.005
S3_GB_MONTH, LOGS_GB = 0.023, 0.50
ALARM_MONTH, DASHBOARD_MONTH, METRIC_MONTH, SECRET_MONTH = 0.10, 3.00, 0.30, 0.40

HOURS_A_MONTH = 730
PROCESSOR_MB = 1769
MAILS = 100_000
RATES = (14, 200)
#: What SES tells of each mail (send, delivery), and how many learners open it.
NEWS_PER_MAIL, OPENED = 2, 0.6
#: Pages for one sending, the parts that are loaded again while it runs included; seconds of a page (bench/pages.py).
PAGES, PAGE_SECONDS = 200, 0.04
BATCH = 100
#: What a call of SQS takes from inside the region; the hit waits for it.
CALL_SECONDS = 0.01
#: What Aurora Serverless v2 takes while mails are sent, and storage requests for each row that is written.
BUSY_ACU, IO_PER_ROW = 2.0, 4

Lines = list[tuple[str, float, str]]


@dataclass(frozen=True)
class Measured:
    """For one of each: seconds of one processor (send, news, hit), bytes (mail, row)."""

    send: float
    news: float
    hit: float
    mail: int
    row: float


def measure(mails: int = sending.MESSAGES) -> Measured:
    """Send a run, tell what became of it, open it, and weigh what that leaves in the database."""
    with fresh_database("costs"), silence(), sending.sink():
        import app  # noqa: F401  the mails' links need its routes
        from chalicelib import database, functions
        from chalicelib.aws import client, mailer

        client.forget()
        mailer.forget()
        with database.scope() as session:
            made = course.make(session, mails)
        seconds = sending.seconds_to_send(made)
        _, raw = sending.ready_mail()
        with database.scope() as session:
            ids = list(session.scalars(text("SELECT id FROM ontask.message ORDER BY id")))
        bodies = [_news(message_id, kind) for kind in ("Send", "Delivery") for message_id in ids]
        batches = [
            {"Records": [{"messageId": str(n), "body": body} for n, body in enumerate(bodies[at : at + BATCH])]}
            for at in range(0, len(bodies), BATCH)
        ]
        news = timed(lambda: [functions.record_events(batch, None) for batch in batches])
        hit = _seconds_of_a_hit(ids[:300])
        tables = "pg_total_relation_size('ontask.message') + pg_total_relation_size('ontask.mail_event')"
        with database.scope() as session:
            weight = int(session.scalar(text(f"SELECT {tables}")) or 0)
        return Measured(seconds / mails, news / len(bodies), hit, len(raw), weight / mails)


def _news(message_id: int, kind: str) -> str:
    from chalicelib.delivery.send import TAG
    from chalicelib.settings import settings

    at = datetime.now(UTC).isoformat()
    tags = {TAG: [str(message_id)], "ses:configuration-set": [settings().ses_configuration_set]}
    event = {"eventType": kind, "mail": {"timestamp": at, "tags": tags}, kind.lower(): {"timestamp": at}}
    return json.dumps({"TopicArn": settings().events_topic_arn, "Message": json.dumps(event)})


def _seconds_of_a_hit(ids: list[int]) -> float:
    from app import app
    from chalicelib.delivery import links
    from local.gateway import Gateway

    gateway = Gateway(app)
    paths = [urlsplit(links.with_pixel("", message_id).split('"')[1]).path for message_id in ids]
    return timed(lambda: [gateway.handle("GET", path, {"accept": ["*/*"]}, b"") for path in paths]) / len(paths)


# -- what follows from it


def function_cost(name: str, invocations: float, seconds: float, *, waits: bool = False) -> float:
    """Return what a Lambda function costs; `seconds` are of a whole processor, or of the clock when it only waits."""
    memory = CONFIG[name]["lambda_memory_size"]
    stretched = seconds if waits else seconds * max(1.0, PROCESSOR_MB / memory)
    return invocations * LAMBDA_REQUEST + stretched * memory / 1024 * LAMBDA_GB_SECOND


def a_run(found: Measured, rate: int) -> Lines:
    """Return what 100,000 mails cost at so many a second."""
    busy = CONFIG["send_batch"]["lambda_memory_size"] / PROCESSOR_MB
    seconds = max(MAILS / rate, MAILS * found.send / min(busy, 1))
    hours, news, hits = seconds / 3600, MAILS * NEWS_PER_MAIL, MAILS * OPENED
    rows = MAILS * (1 + NEWS_PER_MAIL + OPENED)
    calls = news + hits + 3 * (news + hits) / BATCH + 3 * seconds / CONFIG["send_batch"]["lambda_timeout"]
    return [
        ("SES: mails", MAILS * SES_MAIL, f"{MAILS:,} × $0.10 per 1,000"),
        ("SES: data", MAILS * found.mail / 1e9 * SES_GB, f"{found.mail:,} bytes each"),
        ("Lambda: send_batch", function_cost("send_batch", seconds / 300 + 1, seconds, waits=True),
         f"{seconds / 60:,.0f} minutes at {rate}/s; {found.send * 1000:.1f} ms of work a mail"),
        ("Lambda: record_events", function_cost("record_events", (news + hits) / BATCH, (news + hits) * found.news),
         f"{found.news * 1000:.2f} ms for each of {news + hits:,.0f} events"),
        ("Lambda and API Gateway: opened mails",
         hits * API_REQUEST + function_cost("api_handler", hits, hits * (found.hit + CALL_SECONDS)),
         f"{hits:,.0f} of them, {(found.hit + CALL_SECONDS) * 1000:.0f} ms each"),
        ("Lambda and API Gateway: pages",
         PAGES * API_REQUEST + function_cost("api_handler", PAGES, PAGES * PAGE_SECONDS),
         f"{PAGES} pages and parts of pages"),
        ("SNS and SQS", news * SNS_PUBLISH + calls * SQS_REQUEST, f"{calls:,.0f} requests of SQS"),
        ("Aurora: capacity", hours * BUSY_ACU * ACU_HOUR, f"{BUSY_ACU:g} ACU while mails are sent"),
        ("Aurora: storage requests", rows * IO_PER_ROW * IO_REQUEST, f"{rows:,.0f} rows"),
        ("Aurora: storage, a month", MAILS * found.row / 1e9 * STORAGE_GB_MONTH, f"{found.row:,.0f} bytes a mail"),
        ("NAT gateway: data", MAILS * found.mail * 1.2 / 1e9 * NAT_GB, "the mails on their way to SES"),
    ]  # fmt: skip


def idle_month(*, acu: float, nat: bool) -> Lines:
    """Return what a month costs in which nobody does anything; alarms and secrets are counted in the stack."""
    stack = (ROOT / "infrastructure" / "base.yaml").read_text()

    def count(kind: str) -> int:
        return len(re.findall(rf"Type: {kind}\b(?!::)", stack))

    alarms, secrets = count("AWS::CloudWatch::Alarm"), count("AWS::SecretsManager::Secret")
    lines = [
        ("Aurora: capacity", HOURS_A_MONTH * acu * ACU_HOUR, f"{acu:g} ACU all the time" if acu else "it sleeps"),
        ("Aurora: storage", 2 * STORAGE_GB_MONTH, "2 GB"),
        ("CloudWatch: alarms and a dashboard", alarms * ALARM_MONTH + DASHBOARD_MONTH, f"{alarms} alarms"),
        ("Secrets Manager", secrets * SECRET_MONTH, f"{secrets} secrets"),
        ("S3 and logs", 2 * S3_GB_MONTH + 0.1 * LOGS_GB, "2 GB of files, 0.1 GB of logs"),
    ]
    if nat:
        lines.insert(1, ("NAT gateway", HOURS_A_MONTH * (NAT_HOUR + ADDRESS_HOUR), "one, with its public address"))
    return lines


def table(lines: Lines) -> str:
    """Return the lines as Markdown, with their sum."""
    rows = [
        f"| {name} | {dollars:,.2f} | {why} |" if dollars >= 0.005 or not dollars else f"| {name} | < 0.01 | {why} |"
        for name, dollars, why in lines
    ]
    rows.append(f"| **together** | **{sum(line[1] for line in lines):,.2f}** | |")
    return "\n".join(["| what | US$ | why |", "| --- | ---: | --- |", *rows])


def written(found: Measured) -> str:
    """Return the page."""
    idle = {
        "Database asleep (0 ACU minimum), with NAT gateway": idle_month(acu=0, nat=True),
        "Database asleep, without NAT gateway": idle_month(acu=0, nat=False),
        "Database awake (0.5 ACU minimum), with NAT gateway": idle_month(acu=0.5, nat=True),
    }
    parts = [
        "# What it costs",
        f"List prices of AWS for us-east-1 in US dollars as published in {PRICED_ON}, without free tiers, taxes and\n"
        "discounts; look them up for your region before you rely on them. Durations and sizes were measured on one\n"
        f"machine on {datetime.now(UTC):%d %B %Y} by `python -m bench.costs`, which writes this page; nothing here\n"
        "was billed by AWS.",
        "## A month in which nobody does anything",
        "The NAT gateway is what costs most. Functions reach SES, SQS and EventBridge through it; without it they\n"
        "need interface endpoints, which cost more from the second one on. So “without” is only for comparison.",
    ]
    for title, lines in idle.items():
        parts += [f"### {title}", table(lines)]
    for rate in RATES:
        parts += [f"## 100,000 mails at {rate} a second", table(a_run(found, rate))]
    parts.append(
        f"Assumed: {NEWS_PER_MAIL} events of SES for each mail, {OPENED:.0%} of them opened once, {BUSY_ACU:g} ACU\n"
        f"while sending, {IO_PER_ROW} storage requests for each row written. The first three of these are the ones\n"
        "to check against your own bill."
    )
    return "\n\n".join(parts) + "\n"


def main() -> None:
    """Measure and write the page."""
    os.environ.update(ENVIRONMENT)
    say("Measuring what a sending takes …")
    found = measure()
    stop_database()
    PAGE.write_text(written(found))
    say(f"Written to {PAGE.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
