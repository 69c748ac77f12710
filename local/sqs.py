"""SQS on one machine: the JSON protocol's calls that the product and its runner use.

Visibility time-out, delay, long poll and redrive to a dead-letter queue as in the SQS Developer Guide. With a journal
(an SQLite file) the messages survive a kill, as they would in the cloud.
"""

from __future__ import annotations

import hashlib
import heapq
import itertools
import json
import sqlite3
import threading
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from local.server import Answer, JsonServer

MAX_BYTES = 1024 * 1024


class Refused(Exception):
    """An error as SQS answers it."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass
class Message:
    """One message; `receipt` is new at every receive."""

    id: str
    body: str
    attributes: dict[str, Any]
    sent_at: float
    received: int = 0
    receipt: str = ""


@dataclass
class Queue:
    """Messages by the time from which they can be seen."""

    name: str
    visibility: float = 30.0
    dead_letters: str = ""
    max_receives: int = 0
    waiting: list[tuple[float, int, Message]] = field(default_factory=list)
    in_flight: dict[str, tuple[float, Message]] = field(default_factory=dict)


class Journal:
    """Undeleted messages on disk. A process may be killed at any moment; a power cut may cost the last ones."""

    def __init__(self, path: Path) -> None:
        self._db = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = OFF")
        self._db.execute(
            "CREATE TABLE IF NOT EXISTS message (id TEXT PRIMARY KEY, queue TEXT, due REAL, body TEXT, sent REAL)"
        )

    def add(self, queue: str, due: float, message: Message) -> None:
        """Keep a message."""
        self._db.execute(
            "INSERT INTO message VALUES (?, ?, ?, ?, ?)", (message.id, queue, due, message.body, message.sent_at)
        )

    def remove(self, message: Message) -> None:
        """Forget a message."""
        self._db.execute("DELETE FROM message WHERE id = ?", (message.id,))

    def load(self, queue: str) -> list[tuple[float, Message]]:
        """Return what was sent to `queue` and never deleted, with the time from which it can be seen."""
        found = self._db.execute("SELECT due, id, body, sent FROM message WHERE queue = ? ORDER BY due", (queue,))
        return [(due, Message(id_, body, {}, sent)) for due, id_, body, sent in found]


class Queues:
    """All queues; every method is one SQS action with its JSON fields."""

    def __init__(self, now: Callable[[], float] = time.time, journal: Path | None = None) -> None:
        self._now = now
        self._queues: dict[str, Queue] = {}
        self._order = itertools.count()
        self._changed = threading.Condition()
        self._journal = Journal(journal) if journal else None

    def call(self, action: str, fields: dict[str, Any], host: str) -> dict[str, Any]:
        """Do `action`, such as SendMessage. Raises Refused."""
        handler = {
            "CreateQueue": self._create, "GetQueueUrl": self._url, "SendMessage": self._send,
            "SendMessageBatch": self._send_batch, "ReceiveMessage": self._receive, "DeleteMessage": self._delete,
            "DeleteMessageBatch": self._delete_batch, "ChangeMessageVisibility": self._change_visibility,
            "GetQueueAttributes": self._attributes, "PurgeQueue": self._purge, "ListQueues": self._list,
        }.get(action)  # fmt: skip
        if handler is None:
            raise Refused("InvalidAction", f"{action} is not emulated")
        return handler({**fields, "_host": host})

    def _find(self, fields: dict[str, Any]) -> Queue:
        name = str(fields.get("QueueUrl", "")).rpartition("/")[2] or fields.get("QueueName", "")
        if name not in self._queues:
            raise Refused("QueueDoesNotExist", "The specified queue does not exist.")
        return self._queues[name]

    def _create(self, fields: dict[str, Any]) -> dict[str, Any]:
        attributes = fields.get("Attributes") or {}
        redrive = json.loads(attributes.get("RedrivePolicy", "{}"))
        with self._changed:
            if fields["QueueName"] not in self._queues:
                self._queues[fields["QueueName"]] = self._restored(fields["QueueName"])
            queue = self._queues[fields["QueueName"]]
            queue.visibility = float(attributes.get("VisibilityTimeout", queue.visibility))
            queue.dead_letters = redrive.get("deadLetterTargetArn", "").rpartition(":")[2] or queue.dead_letters
            queue.max_receives = int(redrive.get("maxReceiveCount", queue.max_receives))
        return {"QueueUrl": f"{fields['_host']}/123456789012/{queue.name}"}

    def _restored(self, name: str) -> Queue:
        queue = Queue(name)
        for due, message in self._journal.load(name) if self._journal else []:
            heapq.heappush(queue.waiting, (due, next(self._order), message))
        return queue

    def _url(self, fields: dict[str, Any]) -> dict[str, Any]:
        return {"QueueUrl": f"{fields['_host']}/123456789012/{self._find(fields).name}"}

    def _list(self, fields: dict[str, Any]) -> dict[str, Any]:
        return {"QueueUrls": [f"{fields['_host']}/123456789012/{name}" for name in self._queues]}

    def _send(self, fields: dict[str, Any]) -> dict[str, Any]:
        body = fields["MessageBody"]
        delay = int(fields.get("DelaySeconds") or 0)
        if len(body.encode()) > MAX_BYTES:
            raise Refused("InvalidParameterValue", "One or more parameters are invalid. Message must be shorter.")
        if not 0 <= delay <= 900:
            raise Refused("InvalidParameterValue", f"Value {delay} for parameter DelaySeconds is invalid.")
        with self._changed:
            queue = self._find(fields)
            message = Message(str(uuid.uuid4()), body, fields.get("MessageAttributes") or {}, self._now())
            due = self._now() + delay
            if self._journal:
                self._journal.add(queue.name, due, message)
            heapq.heappush(queue.waiting, (due, next(self._order), message))
            self._changed.notify_all()
        return {"MessageId": message.id, "MD5OfMessageBody": _md5(body)}

    def _send_batch(self, fields: dict[str, Any]) -> dict[str, Any]:
        sent, failed = [], []
        for entry in fields["Entries"]:
            try:
                sent.append({"Id": entry["Id"], **self._send({**entry, "QueueUrl": fields["QueueUrl"]})})
            except Refused as error:
                failed.append({"Id": entry["Id"], "Code": error.code, "Message": str(error), "SenderFault": True})
        return {"Successful": sent, "Failed": failed}

    def _receive(self, fields: dict[str, Any]) -> dict[str, Any]:
        limit = min(int(fields.get("MaxNumberOfMessages") or 1), 10)
        until = time.monotonic() + min(float(fields.get("WaitTimeSeconds") or 0), 20)
        with self._changed:
            queue = self._find(fields)
            visibility = float(fields.get("VisibilityTimeout") or queue.visibility)
            while not (taken := self._take(queue, limit, visibility)) and (left := until - time.monotonic()) > 0:
                next_due = queue.waiting[0][0] - self._now() if queue.waiting else left
                self._changed.wait(max(0.005, min(left, next_due, 1.0)))
        return {"Messages": [self._shown(message) for message in taken]} if taken else {}

    def _take(self, queue: Queue, limit: int, visibility: float) -> list[Message]:
        now = self._now()
        taken: list[Message] = []
        for receipt, (until, message) in list(queue.in_flight.items()):
            if until <= now:
                del queue.in_flight[receipt]
                heapq.heappush(queue.waiting, (until, next(self._order), message))
        while queue.waiting and queue.waiting[0][0] <= now and len(taken) < limit:
            _, order, message = heapq.heappop(queue.waiting)
            if queue.max_receives and message.received >= queue.max_receives:
                heapq.heappush(self._queues[queue.dead_letters].waiting, (now, order, message))
                continue
            message.received += 1
            message.receipt = str(uuid.uuid4())
            queue.in_flight[message.receipt] = (now + visibility, message)
            taken.append(message)
        return taken

    @staticmethod
    def _shown(message: Message) -> dict[str, Any]:
        return {
            "MessageId": message.id, "ReceiptHandle": message.receipt, "Body": message.body,
            "MD5OfBody": _md5(message.body), "MessageAttributes": message.attributes,
            "Attributes": {
                "ApproximateReceiveCount": str(message.received), "SentTimestamp": str(int(message.sent_at * 1000)),
            },
        }  # fmt: skip

    def _delete(self, fields: dict[str, Any]) -> dict[str, Any]:
        with self._changed:
            _, message = self._find(fields).in_flight.pop(fields["ReceiptHandle"], (0.0, None))
            if self._journal and message:
                self._journal.remove(message)
        return {}

    def _delete_batch(self, fields: dict[str, Any]) -> dict[str, Any]:
        for entry in fields["Entries"]:
            self._delete({**entry, "QueueUrl": fields["QueueUrl"]})
        return {"Successful": [{"Id": entry["Id"]} for entry in fields["Entries"]], "Failed": []}

    def _change_visibility(self, fields: dict[str, Any]) -> dict[str, Any]:
        with self._changed:
            queue = self._find(fields)
            if fields["ReceiptHandle"] not in queue.in_flight:
                raise Refused("ReceiptHandleIsInvalid", "The receipt handle is not valid.")
            _, message = queue.in_flight.pop(fields["ReceiptHandle"])
            until = self._now() + float(fields["VisibilityTimeout"])
            if until <= self._now():
                heapq.heappush(queue.waiting, (until, next(self._order), message))
            else:
                queue.in_flight[message.receipt] = (until, message)
            self._changed.notify_all()
        return {}

    def _attributes(self, fields: dict[str, Any]) -> dict[str, Any]:
        with self._changed:
            queue, now = self._find(fields), self._now()
            ready = sum(1 for due, _, _ in queue.waiting if due <= now)
            return {
                "Attributes": {
                    "QueueArn": f"arn:aws:sqs:us-east-1:123456789012:{queue.name}",
                    "VisibilityTimeout": str(int(queue.visibility)),
                    "ApproximateNumberOfMessages": str(ready),
                    "ApproximateNumberOfMessagesDelayed": str(len(queue.waiting) - ready),
                    "ApproximateNumberOfMessagesNotVisible": str(len(queue.in_flight)),
                }
            }

    def _purge(self, fields: dict[str, Any]) -> dict[str, Any]:
        with self._changed:
            queue = self._find(fields)
            queue.waiting.clear()
            queue.in_flight.clear()
        return {}


def _md5(text: str) -> str:
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()


def serve(queues: Queues, port: int = 0) -> JsonServer:
    """Serve the queues on 127.0.0.1; `.url` of the result goes into AWS_ENDPOINT_URL_SQS."""

    def answer(_method: str, _path: str, headers: dict[str, str], body: bytes) -> Answer:
        action = headers.get("x-amz-target", "").rpartition(".")[2]
        try:
            return 200, queues.call(action, json.loads(body or b"{}"), f"http://{headers['host']}")
        except Refused as error:
            return 400, {"__type": f"com.amazonaws.sqs#{error.code}", "message": str(error)}

    return JsonServer(answer, port, "application/x-amz-json-1.0")
