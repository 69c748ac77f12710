"""SQS: wake-up calls. Bodies are small JSON objects that name rows or lanes, never personal data.

Each carries the correlation id of what it is sent for.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from typing import Any

from chalicelib import errors, logs
from chalicelib.aws.client import client

#: SQS refuses longer delays (AWS: SendMessage, DelaySeconds).
MAX_DELAY_SECONDS = 900
#: What a queue gives up waits in one of this name (infrastructure/base.yaml).
DEAD = "-dead"
#: While they are being written down nobody else sees dead letters.
HIDDEN_SECONDS = 60


@dataclass(frozen=True)
class Dead:
    """A message that its queue has given up."""

    id: str
    receipt: str
    body: str
    tries: int
    sent_at: datetime


@cache
def _url(queue: str) -> str:
    return str(client("sqs").get_queue_url(QueueName=queue)["QueueUrl"])


def forget_addresses() -> None:
    """Look queue addresses up again at the next send. For tests and tools."""
    _url.cache_clear()


def send(queue: str, body: dict[str, Any], delay_seconds: int = 0) -> None:
    """Put `body` on `queue`, visible after `delay_seconds` (at most 900).

    Raises errors.Unavailable when SQS can't be reached.
    """
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        client("sqs").send_message(
            QueueUrl=_url(queue),
            MessageBody=json.dumps({**body, logs.KEY: logs.correlation_id()}),
            DelaySeconds=min(max(delay_seconds, 0), MAX_DELAY_SECONDS),
        )
    except (BotoCoreError, ClientError) as error:
        raise errors.Unavailable("The queue can't be reached just now. Please try again.") from error


def take_dead(queue: str) -> list[Dead]:
    """Return some of the messages that `queue` has given up, ten at most; they stay until they are dropped.

    Raises errors.Unavailable when SQS can't be reached.
    """
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        found = client("sqs").receive_message(
            QueueUrl=_url(queue + DEAD), MaxNumberOfMessages=10, VisibilityTimeout=HIDDEN_SECONDS,
            AttributeNames=["All"],
        )  # fmt: skip
    except (BotoCoreError, ClientError) as error:
        raise errors.Unavailable("The queue can't be reached just now. Please try again.") from error
    return [_dead(message) for message in found.get("Messages", [])]


def drop_dead(queue: str, letters: Sequence[Dead]) -> None:
    """Take messages out of what `queue` has given up.

    Raises errors.Unavailable when SQS can't be reached.
    """
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        for letter in letters:
            client("sqs").delete_message(QueueUrl=_url(queue + DEAD), ReceiptHandle=letter.receipt)
    except (BotoCoreError, ClientError) as error:
        raise errors.Unavailable("The queue can't be reached just now. Please try again.") from error


def _dead(message: Any) -> Dead:
    about = message["Attributes"]
    return Dead(
        message["MessageId"], message["ReceiptHandle"], message["Body"],
        max(1, int(about["ApproximateReceiveCount"]) - 1),  # this time it was not tried
        datetime.fromtimestamp(int(about["SentTimestamp"]) / 1000, UTC),
    )  # fmt: skip
