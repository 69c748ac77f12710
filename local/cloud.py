"""The emulated AWS of one installation: moto for most of it, our own SQS and SES, all on 127.0.0.1."""

from __future__ import annotations

import base64
import json
import logging
import os
import threading
import time
from pathlib import Path
from typing import Any

from local.ses import Outbox, Service
from local.sqs import Queues
from local.sqs import serve as serve_queues

QUEUES = ("ontask-jobs", "ontask-outbox", "ontask-events")
#: At least six times the function's time-out, as AWS advises for SQS event sources (here: handlers of 60 s).
VISIBILITY_SECONDS = 360
MAX_RECEIVES = 5


class Cloud:
    """Starts everything; `environment` is what a process needs to use it."""

    def __init__(self, folder: Path, *, base_url: str, mail_rate: float = 14.0) -> None:
        from moto.server import ThreadedMotoServer

        logging.getLogger("werkzeug").setLevel(logging.ERROR)
        folder.mkdir(parents=True, exist_ok=True)
        os.environ.update(_CREDENTIALS)
        self.queues = Queues(journal=folder / "queues.sqlite")
        self.outbox_path = folder / "outbox.sqlite"
        self.outbox = Outbox(self.outbox_path)
        self.ses = Service(self.outbox, self._publish, topic_arn(), rate=mail_rate)
        self._sqs_server = serve_queues(self.queues)
        self._ses_server = self.ses.serve()
        self._moto = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
        self._moto.start()
        host, port = self._moto.get_host_and_port()
        self.url = f"http://{host}:{port}"
        self._stopping = threading.Event()
        self._set_up(folder / "files", base_url)
        threading.Thread(target=self._tell_events, name="mail events", daemon=True).start()

    @property
    def environment(self) -> dict[str, str]:
        """The variables by which boto3 finds this cloud."""
        return {
            **_CREDENTIALS,
            "AWS_ENDPOINT_URL": self.url,
            "AWS_ENDPOINT_URL_SQS": self._sqs_server.url,
            "AWS_ENDPOINT_URL_SESV2": self._ses_server.url,
            "UPLOAD_ORIGIN": self.url,
        }

    def _set_up(self, files: Path, base_url: str) -> None:
        import boto3

        from chalicelib.settings import settings

        for name in QUEUES:
            self.queues.call("CreateQueue", {"QueueName": f"{name}-dead"}, "")
            redrive = {"deadLetterTargetArn": f"arn:aws:sqs:us-east-1:123456789012:{name}-dead",
                       "maxReceiveCount": MAX_RECEIVES}  # fmt: skip
            attributes = {"VisibilityTimeout": str(VISIBILITY_SECONDS), "RedrivePolicy": json.dumps(redrive)}
            self.queues.call("CreateQueue", {"QueueName": name, "Attributes": attributes}, "")
        s3 = boto3.client("s3", endpoint_url=self.url)
        s3.create_bucket(Bucket=settings().bucket)
        s3.put_bucket_versioning(Bucket=settings().bucket, VersioningConfiguration={"Status": "Enabled"})
        rule = {
            "AllowedOrigins": [base_url, base_url.replace("127.0.0.1", "localhost")], "AllowedMethods": ["POST", "GET"],
            "AllowedHeaders": ["*"], "MaxAgeSeconds": 3000,
        }  # fmt: skip
        s3.put_bucket_cors(Bucket=settings().bucket, CORSConfiguration={"CORSRules": [rule]})
        keep_objects(files)
        boto3.client("scheduler", endpoint_url=self.url).create_schedule_group(Name=settings().scheduler_group)

    def _publish(self, envelope: dict[str, Any]) -> None:
        fields = {"QueueName": QUEUES[2], "MessageBody": json.dumps(envelope)}
        self.queues.call("SendMessage", fields, "")

    def _tell_events(self) -> None:
        while not self._stopping.is_set():
            if not self.ses.publish_due():
                self._stopping.wait(0.05)

    def stop(self) -> None:
        """Stop all servers."""
        self._stopping.set()
        self._moto.stop()
        self._sqs_server.stop()
        self._ses_server.stop()


_CREDENTIALS = {
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_ACCESS_KEY_ID": "local",
    "AWS_SECRET_ACCESS_KEY": "local",
    "AWS_EC2_METADATA_DISABLED": "true",
}


def topic_arn() -> str:
    """Return the SNS topic of the mail events."""
    from chalicelib.settings import settings

    return settings().events_topic_arn


def keep_objects(folder: Path) -> None:
    """Make moto's S3, which lives in memory, keep its objects in `folder`, and bring back those that are there."""
    from moto.s3.models import S3Backend, s3_backends

    folder.mkdir(parents=True, exist_ok=True)
    put, delete = S3Backend.put_object, S3Backend.delete_object

    def put_and_keep(self: Any, bucket_name: str, key_name: str, value: bytes, *rest: Any, **options: Any) -> Any:
        made = put(self, bucket_name, key_name, value, *rest, **options)
        _write(folder, bucket_name, key_name, made.version_id, value)
        return made

    def delete_and_forget(self: Any, bucket_name: str, key_name: str, *rest: Any, **options: Any) -> Any:
        _path(folder, bucket_name, key_name).unlink(missing_ok=True)
        return delete(self, bucket_name, key_name, *rest, **options)

    backend = s3_backends["123456789012"]["aws"]
    for path in folder.iterdir():
        if path.suffix == ".part":
            path.unlink()
            continue
        head, _, value = path.read_bytes().partition(b"\n")
        kept = json.loads(head)
        put(backend, kept["bucket"], kept["key"], value)._version_id = kept["version"]
    for name, method in (("put_object", put_and_keep), ("delete_object", delete_and_forget)):
        setattr(S3Backend, name, method)


def _path(folder: Path, bucket: str, key: str) -> Path:
    return folder / base64.urlsafe_b64encode(f"{bucket}/{key}".encode()).decode()[:240]


def _write(folder: Path, bucket: str, key: str, version: str, value: bytes) -> None:
    path = _path(folder, bucket, key)
    part = path.with_suffix(f".{time.monotonic_ns()}.part")
    head = json.dumps({"bucket": bucket, "key": key, "version": version}).encode()
    part.write_bytes(head + b"\n" + value)
    part.replace(path)  # a killed process leaves the whole object or none
