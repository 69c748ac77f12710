"""A world for deployments: the emulated AWS, our functions run in this process, time that the test owns."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3
import certifi
import pytest
from botocore import xform_name
from botocore.client import BaseClient

import app
from chalicelib import database
from chalicelib.aws import queue, secrets
from chalicelib.settings import settings
from chalicelib.web.static import version_of
from infrastructure.deploy import build, state
from infrastructure.deploy.cloud import Answer, Cloud
from infrastructure.deploy.steps import Deployment
from local import workers
from local.gateway import Context, Gateway
from tests.conftest import Clock
from tests.deploy import aws
from tests.deploy.templates import ROOT

OPTIONS = {"MailFrom": "no-reply@uni.example", "AdminEmail": "ana@uni.example"}
SITE = "https://d111.cloudfront.net"


@dataclass(frozen=True)
class Unpacked(build.Packing):
    """Packs nothing: the functions run in this process, where their dependencies are.

    A release with another `style` has other static files.
    """

    style: str = ""

    def install(self, folder: Path) -> None:
        """Leave the folder empty."""

    def compile(self, folder: Path) -> bool:
        """Leave the sources as they are."""
        if self.style:
            (folder / "static" / "css" / "added.css").write_text(self.style)
        return True


@dataclass
class World:
    """Functions, queues, alarms and mail of one stage; `said` is what the operator reads."""

    folder: Path
    time: Clock
    database_url: str
    stage: str = "dev"
    said: list[str] = field(default_factory=list)
    mails: list[dict[str, Any]] = field(default_factory=list)
    session: boto3.Session = field(default_factory=boto3.Session)
    clients: dict[str, Any] = field(default_factory=dict)
    #: The AWS calls that each function's code has made.
    calls: dict[str, set[str]] = field(default_factory=dict)
    #: What the next deployment deploys.
    release: Unpacked = field(default_factory=Unpacked)

    def __post_init__(self) -> None:
        self.session.events.register("provide-client-params.sesv2.SendEmail", self._note_mail)

    def cloud(self) -> Cloud:
        """The outside of one run of a command."""
        return OurCloud(
            self.stage, self.session, say=self.say, sleep=self.sleep, http=self.get, folder=self.folder,
            _clients=self.clients, world=self,
        )  # fmt: skip

    def client(self, service: str) -> Any:
        """boto3's client of a service."""
        return self.cloud().client(service)

    def deploy(self, **options: str) -> None:
        """`make deploy`."""
        Deployment(self.cloud(), options, packing=self.release).run()

    def static_version(self) -> str:
        """The name of the static files that were deployed last."""
        return version_of(self.folder / self.stage / "chalicelib" / "static")

    def say(self, line: str) -> None:
        """Hear what the operator is told."""
        self.said.append(line)

    def heard(self) -> str:
        """Everything said since the last time."""
        text = "\n".join(self.said)
        self.said.clear()
        return text

    def sleep(self, seconds: float) -> None:
        """Let time pass, and everything happen that is due."""
        self.time.advance(seconds=seconds)
        self._carry_mail_events()
        for source in state.event_sources(self.cloud()):
            self._serve(source)
        with self.being("run_due", is_lambda=False):  # the clock knows the alarms by the same settings
            events = workers.due_alarms(self.time.time)
        for event in events:
            with self.being("run_due"):
                app.run_due(event, Context())

    def get(self, url: str) -> Answer:
        """The web: our site through its distribution, and the certificates of the database's authority."""
        if url == build.CA_URL:
            return Answer(200, Path(certifi.where()).read_bytes())
        assert url.startswith(SITE), url
        path = url.removeprefix(SITE)
        api = self.api_domain().split(".")[0]
        stages = self.client("apigateway").get_stages(restApiId=api)["item"]
        assert [stage["stageName"] for stage in stages] == [self.stage], "the distribution asks for this stage"
        with self.being("api_handler"):
            status, _, body = Gateway(app.app).handle("GET", path, {"accept": ["*/*"]})
        return Answer(status, body)

    def api_domain(self) -> str:
        """Where the distribution looks for pages."""
        (site,) = (each for each in aws.Thing.live.values() if each.type == "AWS::CloudFront::Distribution")
        domain: str = site.properties["DistributionConfig"]["Origins"][0]["DomainName"]
        return domain

    def invoke(self, function: str, event: dict[str, Any]) -> dict[str, Any]:
        """Run one of our functions."""
        with self.being(function):
            found: dict[str, Any] = json.loads(json.dumps(getattr(app, function)(event, Context())))
        return found

    @contextmanager
    def being(self, function: str, *, is_lambda: bool = True) -> Iterator[None]:
        """Be a new process of a function: with its environment and no other settings."""
        cloud = self.cloud()
        name = state.function_name(cloud, function)
        made = cloud.client("lambda").get_function_configuration(FunctionName=name)
        variables = made["Environment"]["Variables"]
        # The one machine has no TLS and another address; who signs in is told by the secret all the same.
        variables |= {"ONTASK_STAGE": "test", "DATABASE_URL": self.database_url, "DATABASE_CA": ""}
        before = dict(os.environ)
        os.environ.pop("SECRET_KEY")
        os.environ.update(variables)
        self._forget()
        try:
            with noted(self.calls.setdefault(function, set()) if is_lambda else set()):
                yield
        finally:
            os.environ.clear()
            os.environ.update(before)
            self._forget()

    @staticmethod
    def _forget() -> None:
        database.dispose()
        settings.cache_clear()
        secrets.forget()
        queue.forget_addresses()

    def everything(self) -> dict[str, set[str]]:
        """What the account holds, by kind, seen from outside."""
        client = self.client
        mappings = client("lambda").list_event_source_mappings()["EventSourceMappings"]
        return {
            "functions": {each["FunctionName"] for each in client("lambda").list_functions()["Functions"]},
            "event sources": {each["UUID"] for each in mappings},
            "roles": {each["RoleName"] for each in client("iam").list_roles()["Roles"]},
            "rules": {each["Name"] for each in client("events").list_rules()["Rules"]},
            "APIs": {each["id"] for each in client("apigateway").get_rest_apis()["items"]},
            "queues": set(client("sqs").list_queues().get("QueueUrls", [])),
            "topics": {each["TopicArn"] for each in client("sns").list_topics()["Topics"]},
            "subscriptions": {each["SubscriptionArn"] for each in client("sns").list_subscriptions()["Subscriptions"]},
            "buckets": {each["Name"] for each in client("s3").list_buckets()["Buckets"]},
            "secrets": {each["Name"] for each in client("secretsmanager").list_secrets()["SecretList"]},
            "logs": {each["logGroupName"] for each in client("logs").describe_log_groups()["logGroups"]},
            "parameters": {each["Name"] for each in client("ssm").describe_parameters()["Parameters"]},
            "stacks": {each["StackName"] for each in client("cloudformation").describe_stacks()["Stacks"]},
            "senders": {each["IdentityName"] for each in client("sesv2").list_email_identities()["EmailIdentities"]},
            "alarm groups": {
                each["Name"] for each in client("scheduler").list_schedule_groups()["ScheduleGroups"]
            } - {"default"},
            "networks": {
                each["VpcId"] for each in client("ec2").describe_vpcs()["Vpcs"] if not each["IsDefault"]
            },
            "dashboards": {
                each["DashboardName"] for each in client("cloudwatch").list_dashboards()["DashboardEntries"]
            },
            "other things": set(aws.Thing.live),
        }  # fmt: skip

    def _serve(self, source: dict[str, Any]) -> None:
        """Do what Lambda does for an event source."""
        function = source["FunctionArn"].rpartition(f"{self.stage}-")[2]
        name = source["EventSourceArn"].rpartition(":")[2]
        sqs = self.client("sqs")
        url = sqs.get_queue_url(QueueName=name)["QueueUrl"]
        found = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, AttributeNames=["All"])
        for message in found.get("Messages", []):
            with self.being(function):
                done = workers.handle(getattr(app, function), [message], name)
            if done or "ReportBatchItemFailures" not in source.get("FunctionResponseTypes", []):
                sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])

    def _note_mail(self, params: dict[str, Any], **_: Any) -> None:
        self.mails.append(params)

    def _carry_mail_events(self) -> None:
        """Tell the topic what SES would."""
        topic = next(
            t["TopicArn"] for t in self.client("sns").list_topics()["Topics"] if "mail-events" in t["TopicArn"]
        )
        while self.mails:
            mail = self.mails.pop()
            tags = {tag["Name"]: [tag["Value"]] for tag in mail["EmailTags"]}
            tags["ses:configuration-set"] = [mail["ConfigurationSetName"]]
            event = {"eventType": "Delivery", "mail": {"messageId": "1", "tags": tags}, "delivery": {}}
            self.client("sns").publish(TopicArn=topic, Message=json.dumps(event))


@dataclass
class OurCloud(Cloud):
    """The cloud whose functions run here."""

    world: World | None = None

    def invoke(self, function: str, event: dict[str, Any]) -> dict[str, Any]:
        """Run it."""
        assert self.world is not None
        return self.world.invoke(function, event)


@contextmanager
def noted(calls: set[str]) -> Iterator[None]:
    """Add every call that boto3 makes to `calls`, named as in the source."""
    real = BaseClient._make_api_call

    def note(client: Any, operation: str, params: dict[str, Any]) -> Any:
        calls.add(f"{client.meta.service_model.service_name}.{xform_name(operation)}")
        return real(client, operation, params)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(BaseClient, "_make_api_call", note)
        yield


def config() -> dict[str, Any]:
    """`.chalice/config.json`."""
    found: dict[str, Any] = json.loads((ROOT / ".chalice" / "config.json").read_text())
    return found
