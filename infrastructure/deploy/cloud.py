"""The outside of a deployment: an AWS account, the web, this machine. Everything that waits or is far away is here."""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

ROOT = Path(__file__).resolve().parents[2]
#: What is built and what has been fetched; can be removed at any time.
FOLDER = ROOT / ".ontask" / "deploy"


class Problem(Exception):
    """Ends a deployment with a sentence for the operator: what is wrong and what to do."""


@dataclass(frozen=True)
class Answer:
    """What a web server said."""

    status: int
    body: bytes


def get(url: str) -> Answer:
    """GET an https address.

    Raises Problem when nobody answers.
    """
    if not url.startswith("https://"):
        raise Problem(f"{url} is not an https address.")
    try:
        with urllib.request.urlopen(url, timeout=30) as answer:  # noqa: S310  https only
            return Answer(answer.status, answer.read())
    except urllib.error.HTTPError as error:
        return Answer(error.code, error.read())
    except OSError as error:
        raise Problem(f"{url} does not answer: {error}. Run the same command again to go on.") from error


@dataclass
class Cloud:
    """One stage in one AWS account, and the ways to it."""

    stage: str
    session: boto3.Session
    say: Callable[[str], None] = print
    sleep: Callable[[float], None] = time.sleep
    http: Callable[[str], Answer] = get
    folder: Path = FOLDER
    _clients: dict[str, Any] = field(default_factory=dict)
    _account: str = ""

    @property
    def app(self) -> str:
        """Return what the stage's things are called, such as `ontask-dev`."""
        return f"ontask-{self.stage}"

    @property
    def region(self) -> str:
        """Return the region's name."""
        return str(self.session.region_name)

    @property
    def partition(self) -> str:
        """Return `aws`, or what it is called in China and for governments."""
        return str(self.session.get_partition_for_region(self.region))

    @property
    def account(self) -> str:
        """Return the account's number.

        Raises Problem without usable credentials.
        """
        if not self._account:
            try:
                self._account = str(self.client("sts").get_caller_identity()["Account"])
            except (BotoCoreError, ClientError) as error:
                raise Problem(
                    "AWS does not know who you are. Give credentials the usual way: AWS_PROFILE, `aws sso login`, "
                    f"or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY. ({error})"
                ) from error
        return self._account

    def client(self, service: str) -> Any:
        """Return boto3's client of `service`."""
        if service not in self._clients:
            self._clients[service] = self.session.client(service)
        return self._clients[service]

    def invoke(self, function: str, event: dict[str, Any]) -> dict[str, Any]:
        """Run a function of the stage and return what it returns.

        Raises Problem when it fails.
        """
        name = f"{self.app}-{function}"
        # Lambda's longest time; boto3 would give up after a minute, and call again.
        patient = Config(read_timeout=910, retries={"total_max_attempts": 1})
        lambdas = self.session.client("lambda", config=patient)
        answer = lambdas.invoke(FunctionName=name, Payload=json.dumps(event).encode())
        found = json.loads(answer["Payload"].read() or b"null")
        if "FunctionError" in answer:
            raise Problem(f"{name} failed: {found.get('errorMessage', found)}. Its log is /aws/lambda/{name}.")
        return found or {}


def open_cloud(stage: str) -> Cloud:
    """Return the stage in the account and region that the environment or profile names.

    Raises Problem without credentials or region.
    """
    try:
        session = boto3.Session()
    except BotoCoreError as error:
        raise Problem(f"{error}. Name a profile that ~/.aws/config has: AWS_PROFILE=…") from error
    if session.region_name is None:
        raise Problem("Say which AWS region to use: AWS_DEFAULT_REGION=eu-west-1, or a profile that names one.")
    if session.get_credentials() is None:
        raise Problem(
            "There are no AWS credentials. Give them the usual way: AWS_PROFILE, `aws sso login`, "
            "or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY."
        )
    cloud = Cloud(stage, session)
    cloud.say(f"Stage {stage} in account {cloud.account}, region {cloud.region}.")
    return cloud
