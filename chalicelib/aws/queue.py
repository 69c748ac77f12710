"""SQS: wake-up calls. Bodies are small JSON objects that name rows or lanes, never personal data.

Each carries the correlation id of what it is sent for.
"""

from __future__ import annotations

import json
from functools import cache
from typing import Any

from chalicelib import errors, logs
from chalicelib.aws.client import client

#: SQS refuses longer delays (AWS: SendMessage, DelaySeconds).
MAX_DELAY_SECONDS = 900


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
