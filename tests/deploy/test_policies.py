"""Every function may do what its code does, and nothing else."""

from __future__ import annotations

import ast
import json
from typing import Any

import pytest

import app
from tests.deploy import calls
from tests.deploy.templates import ROOT, as_list
from tests.test_house import imported

FUNCTIONS = list(json.loads((ROOT / ".chalice" / "config.json").read_text())["lambda_functions"])
#: What IAM wants to have allowed for each call (Service Authorization Reference).
RIGHTS = {
    "s3.generate_presigned_post": {"s3:PutObject"},
    "s3.presigned_get_object": {"s3:GetObject"},
    "s3.get_object": {"s3:GetObject", "s3:GetObjectVersion"},  # the very version that was looked at
    "s3.head_object": {"s3:GetObject", "s3:ListBucket"},  # without the second, what is missing is forbidden
    "s3.list_objects_v2": {"s3:ListBucket"},
    "s3.put_object": {"s3:PutObject"},
    "s3.delete_object": {"s3:DeleteObject"},
    "scheduler.create_schedule": {"scheduler:CreateSchedule", "iam:PassRole"},
    "scheduler.list_schedules": {"scheduler:ListSchedules"},
    "secretsmanager.get_secret_value": {"secretsmanager:GetSecretValue"},
    "sesv2.get_account": {"ses:GetAccount"},
    "sesv2.send_email": {"ses:SendEmail", "ses:SendRawEmail"},  # the second for mails given as they are
    "sqs.get_queue_url": {"sqs:GetQueueUrl"},
    "sqs.send_message": {"sqs:SendMessage"},
    "sqs.receive_message": {"sqs:ReceiveMessage"},
    "sqs.delete_message": {"sqs:DeleteMessage"},
}
#: What Lambda itself does in the function's name.
LAMBDA = {
    "logs:CreateLogStream", "logs:PutLogEvents", "ec2:CreateNetworkInterface", "ec2:DescribeNetworkInterfaces",
    "ec2:DescribeSubnets", "ec2:DeleteNetworkInterface", "ec2:AssignPrivateIpAddresses",
    "ec2:UnassignPrivateIpAddresses",
}  # fmt: skip
EVENT_SOURCE = {"sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"}
SOURCES = {source.name: source.queue for source in app.app.event_sources if hasattr(source, "queue")}


def policy(function: str) -> list[dict[str, Any]]:
    """The statements of a function's policy that allow something."""
    whole = json.loads((ROOT / "infrastructure" / "policies" / f"{function}.json").read_text())
    return [statement for statement in whole["Statement"] if statement["Effect"] == "Allow"]


def resources(function: str, action: str) -> set[str]:
    """What a function may do `action` on."""
    return {place for part in policy(function) if action in part["Action"] for place in as_list(part["Resource"])}


@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_policy_allows_what_the_code_calls_and_no_more(function: str) -> None:
    needed = LAMBDA | (EVENT_SOURCE if function in SOURCES else set())
    needed = needed.union(*(RIGHTS[call] for call in calls.of(function)))
    assert {action for statement in policy(function) for action in as_list(statement["Action"])} == needed


@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_policy_names_the_queues_that_the_code_sends_to_and_reads(function: str) -> None:
    named = {place.rpartition("-")[2] for place in resources(function, "sqs:SendMessage")}
    attributes = set().union(*(calls.sources()[name].attributes for name in calls.reached(function)))
    sent_to = {queue for queue in ("jobs", "outbox", "events") if f"{queue}_queue" in attributes}
    own = {SOURCES[function].rpartition("-")[2]} if function in SOURCES else set()
    # The declaration of an event source names the queue too.
    assert sent_to - own <= named <= sent_to
    dead = {"dead"} if "sqs.receive_message" in calls.of(function) else set()
    assert {place.rpartition("-")[2] for place in resources(function, "sqs:ReceiveMessage")} == own | dead


@pytest.mark.parametrize("function", FUNCTIONS)
def test_only_functions_that_sign_read_the_signing_key(function: str) -> None:
    signs = "chalicelib.settings.secret_key" in calls.reached(function)
    assert ("${SecretKeySecret}" in resources(function, "secretsmanager:GetSecretValue")) is signs


def test_only_the_migration_is_the_schema_s_owner() -> None:
    assert [name for name in FUNCTIONS if "${OwnerSecret}" in resources(name, "secretsmanager:GetSecretValue")] == [
        "migrate"
    ]


def test_no_call_escapes_the_reader_of_the_source() -> None:
    for path in sorted((ROOT / "chalicelib").rglob("*.py")):
        tree = ast.parse(path.read_text())
        if path.parent.name != "aws":
            speaks = {name for name in imported(path) if name.startswith(("boto", "chalicelib.aws.client"))}
            assert not speaks, f"{path.name} speaks to AWS itself; a module in chalicelib/aws should"
            continue
        nodes = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
        made = [node for node in nodes if calls.client_of(node)]
        understood = [
            node for node in nodes if [call for call in calls.aws_calls(node) if not call.startswith("sesv2")]
        ]
        # Our own code speaks to SES and only asks a client where that is; its methods are named like boto3's.
        assert len(made) == len(understood) + (path.name == "ses.py"), f"{path.name}: call as client(…).operation(…)"


def test_the_calls_of_each_function_are_those_that_we_know_of() -> None:
    assert "sesv2.send_email" in calls.of("send_batch")
    assert "s3.put_object" in calls.of("work_job")
    assert "sesv2.send_email" not in calls.of("api_handler"), "pages send no mail"
    # News may end a run, and a job tells the schedule that has begun it.
    woken = {"sqs.get_queue_url", "sqs.send_message", "scheduler.create_schedule"}
    assert calls.of("record_events") == {"secretsmanager.get_secret_value"} | woken
