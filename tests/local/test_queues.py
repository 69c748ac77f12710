"""The same cases against moto's SQS and ours, so that ours stays honest; and what only ours has to do."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from local.sqs import Queues, Refused, serve


@pytest.fixture(params=["moto", "ours"])
def sqs(request: pytest.FixtureRequest) -> Iterator[Any]:
    """A client of an empty SQS."""
    if request.param == "moto":
        from moto import mock_aws

        with mock_aws():
            yield boto3.client("sqs")
        return
    server = serve(Queues())
    yield boto3.client("sqs", endpoint_url=server.url)
    server.stop()


def receive(sqs: Any, url: str, **options: Any) -> list[dict[str, Any]]:
    return sqs.receive_message(QueueUrl=url, AttributeNames=["All"], **options).get("Messages", [])


def test_a_message_is_received_once_while_it_is_in_flight(sqs: Any) -> None:
    url = sqs.create_queue(QueueName="q")["QueueUrl"]
    sqs.send_message(QueueUrl=url, MessageBody='{"job": 1}')
    (message,) = receive(sqs, url)
    assert message["Body"] == '{"job": 1}'
    assert message["Attributes"]["ApproximateReceiveCount"] == "1"
    assert receive(sqs, url) == []


def test_a_message_not_deleted_comes_back(sqs: Any) -> None:
    url = sqs.create_queue(QueueName="q")["QueueUrl"]
    sqs.send_message(QueueUrl=url, MessageBody="a")
    (message,) = receive(sqs, url)
    sqs.change_message_visibility(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"], VisibilityTimeout=0)
    (again,) = receive(sqs, url)
    assert (again["MessageId"], again["Attributes"]["ApproximateReceiveCount"]) == (message["MessageId"], "2")


def test_a_deleted_message_is_gone(sqs: Any) -> None:
    url = sqs.create_queue(QueueName="q")["QueueUrl"]
    sqs.send_message_batch(QueueUrl=url, Entries=[{"Id": str(n), "MessageBody": str(n)} for n in range(3)])
    messages = receive(sqs, url, MaxNumberOfMessages=10)
    assert [message["Body"] for message in messages] == ["0", "1", "2"]
    entries = [{"Id": m["MessageId"], "ReceiptHandle": m["ReceiptHandle"]} for m in messages]
    sqs.delete_message_batch(QueueUrl=url, Entries=entries)
    counts = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
    assert counts["ApproximateNumberOfMessagesNotVisible"] == "0"


def test_a_delayed_message_is_not_seen_yet(sqs: Any) -> None:
    url = sqs.create_queue(QueueName="q")["QueueUrl"]
    sqs.send_message(QueueUrl=url, MessageBody="a", DelaySeconds=900)
    assert receive(sqs, url) == []


def test_a_delay_over_15_minutes_is_refused(sqs: Any) -> None:
    url = sqs.create_queue(QueueName="q")["QueueUrl"]
    with pytest.raises(ClientError, match="InvalidParameterValue"):
        sqs.send_message(QueueUrl=url, MessageBody="a", DelaySeconds=901)


def test_an_unknown_queue_is_an_error(sqs: Any) -> None:
    with pytest.raises(ClientError) as caught:
        sqs.get_queue_url(QueueName="nothing")
    assert "NonExistentQueue" in caught.value.response["Error"]["Code"] or "QueueDoesNotExist" in str(caught.value)


def test_a_message_received_too_often_goes_to_the_dead_letters(sqs: Any) -> None:
    dead = sqs.create_queue(QueueName="dead")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=dead, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    policy = json.dumps({"deadLetterTargetArn": arn, "maxReceiveCount": 2})
    url = sqs.create_queue(QueueName="q", Attributes={"RedrivePolicy": policy})["QueueUrl"]
    sqs.send_message(QueueUrl=url, MessageBody="bad")
    for _ in range(2):
        (message,) = receive(sqs, url)
        sqs.change_message_visibility(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"], VisibilityTimeout=0)
    assert receive(sqs, url) == []
    assert [message["Body"] for message in receive(sqs, dead)] == ["bad"]


class Time:
    """Seconds that pass when told to."""

    seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


def test_delay_and_visibility_end_with_time() -> None:
    time = Time()
    queues = Queues(time)
    queues.call("CreateQueue", {"QueueName": "q", "Attributes": {"VisibilityTimeout": "30"}}, "")
    queues.call("SendMessage", {"QueueName": "q", "MessageBody": "a", "DelaySeconds": 10}, "")
    time.seconds = 10
    assert len(queues.call("ReceiveMessage", {"QueueName": "q"}, "")["Messages"]) == 1
    time.seconds = 39
    assert queues.call("ReceiveMessage", {"QueueName": "q"}, "") == {}
    time.seconds = 40
    assert len(queues.call("ReceiveMessage", {"QueueName": "q"}, "")["Messages"]) == 1


def test_messages_survive_a_kill(tmp_path: Path) -> None:
    before = Queues(journal=tmp_path / "queues")
    before.call("CreateQueue", {"QueueName": "q"}, "")
    for body in ("handled", "in flight", "waiting"):
        before.call("SendMessage", {"QueueName": "q", "MessageBody": body}, "")
    (first,) = before.call("ReceiveMessage", {"QueueName": "q"}, "")["Messages"]
    before.call("DeleteMessage", {"QueueName": "q", "ReceiptHandle": first["ReceiptHandle"]}, "")
    before.call("ReceiveMessage", {"QueueName": "q"}, "")
    after = Queues(journal=tmp_path / "queues")
    after.call("CreateQueue", {"QueueName": "q"}, "")
    found = after.call("ReceiveMessage", {"QueueName": "q", "MaxNumberOfMessages": 10}, "")["Messages"]
    assert [message["Body"] for message in found] == ["in flight", "waiting"]


def test_what_is_not_emulated_says_so() -> None:
    with pytest.raises(Refused, match="AddPermission is not emulated"):
        Queues().call("AddPermission", {}, "")
