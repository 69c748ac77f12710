"""The emulated AWS, taught what a deployment needs: Chalice's API, and the CloudFormation types that moto lacks.

moto makes resources of unknown types silently into nothing, and answers some known ones by an error of its own. Here
each becomes a thing with a name and the attributes that the templates ask for; those through which something flows in
the tests (secrets, subscription, sender, alarm group) are really made.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import deepcopy
from functools import cache
from typing import Any, ClassVar

import pytest

ACCOUNT, REGION = "123456789012", "us-east-1"


def backend(service: str) -> Any:
    """moto's inner side of a service."""
    from moto.backends import get_backend

    return get_backend(service)[ACCOUNT][REGION]  # type: ignore[call-overload]


class Thing:
    """A resource of a type that moto does not know."""

    #: All that exist, by logical name and stack.
    live: ClassVar[dict[str, Thing]] = {}
    kind = ""

    def __init__(self, logical: str, stack: str, properties: dict[str, Any]) -> None:
        self.key = f"{stack.split('/')[1]}/{logical}"
        self.logical, self.properties = logical, properties
        self.type = self.kind
        self.physical_resource_id = self.make()
        self.live[self.key] = self

    def make(self) -> str:
        """Make it; return what `Ref` gives."""
        return f"{self.logical}-1"

    def unmake(self) -> None:
        """Remove what `make` has made."""

    def get_cfn_attribute(self, name: str) -> str:
        """What `GetAtt` gives."""
        return f"{self.logical}.{name}"

    @classmethod
    def has_cfn_attr(cls, _name: str) -> bool:
        """moto asks this for outputs."""
        return True

    @staticmethod
    def cloudformation_name_type() -> str:
        """It has no name that moto should make up."""
        return ""

    @classmethod
    def create_from_cloudformation_json(
        cls, _name: str, description: dict[str, Any], _account: str, _region: str, **about: Any
    ) -> Thing:
        """Be made by a stack."""
        return cls(about["LogicalId"], about["StackId"], description.get("Properties", {}))

    @classmethod
    def update_from_cloudformation_json(
        cls, original_resource: Thing, cloudformation_json: dict[str, Any], **_: Any
    ) -> Thing:
        """Be changed by a stack."""
        original_resource.properties = cloudformation_json.get("Properties", {})
        return original_resource

    def delete(self, _account: str, _region: str) -> None:
        """Be removed with its stack."""
        self.unmake()
        del self.live[self.key]


class Secret(Thing):
    """A secret with a made-up value."""

    def make(self) -> str:
        recipe = self.properties["GenerateSecretString"]
        password = "a made-up value, long enough to sign with"
        value = password
        if "SecretStringTemplate" in recipe:
            value = json.dumps({**json.loads(recipe["SecretStringTemplate"]), recipe["GenerateStringKey"]: password})
        return make_secret(self.properties["Name"], value)

    def unmake(self) -> None:
        drop_secret(self.physical_resource_id)


def make_secret(name: str, value: str) -> str:
    """Make a secret and return its ARN."""
    made = backend("secretsmanager").create_secret(name, value, None, None, [], None, None, [], False)
    return str(json.loads(made)["ARN"])


def drop_secret(arn: str) -> None:
    """Remove a secret at once."""
    backend("secretsmanager").delete_secret(arn, None, force_delete_without_recovery=True)


class Database(Thing):
    """A cluster whose owner is the embedded PostgreSQL's."""

    snapshots: ClassVar[list[str]] = []

    def make(self) -> str:
        name = f"rds!cluster-{self.properties['DBClusterIdentifier']}"
        self.secret = make_secret(name, '{"username": "ontask", "password": "kept by RDS"}')
        return str(self.properties["DBClusterIdentifier"])

    def unmake(self) -> None:
        if self.properties["DeletionProtection"]:
            raise RuntimeError("Cannot delete protected Cluster")
        self.snapshots.append(self.physical_resource_id)
        drop_secret(self.secret)

    def get_cfn_attribute(self, name: str) -> str:
        return self.secret if name == "MasterUserSecret.SecretArn" else "database.example"


class Subscription(Thing):
    """A real subscription, through which mail events flow."""

    def make(self) -> str:
        if self.properties["Protocol"] == "email":
            return "pending confirmation"
        topic, protocol, endpoint = (self.properties[key] for key in ("TopicArn", "Protocol", "Endpoint"))
        return str(backend("sns").subscribe(topic, endpoint, protocol).arn)

    def unmake(self) -> None:
        backend("sns").unsubscribe(self.physical_resource_id)


class Sender(Thing):
    """A verified domain."""

    def make(self) -> str:
        name = self.properties["EmailIdentity"]
        made = backend("sesv2").create_email_identity(name, None, None, None)
        made.verified_for_sending_status = True
        return str(name)

    def unmake(self) -> None:
        backend("sesv2").delete_email_identity(self.physical_resource_id)


class ConfigurationSet(Thing):
    """Of SES."""

    def make(self) -> str:
        return str(self.properties["Name"])


class AlarmGroup(Thing):
    """A group of schedules; it takes them with it."""

    def make(self) -> str:
        backend("scheduler").create_schedule_group(self.properties["Name"], [])
        return str(self.properties["Name"])

    def unmake(self) -> None:
        backend("scheduler").delete_schedule_group(self.physical_resource_id)


class Site(Thing):
    """A distribution."""

    def get_cfn_attribute(self, name: str) -> str:
        return "d111.cloudfront.net"


SPECIAL: dict[str, type[Thing]] = {
    "AWS::SecretsManager::Secret": Secret,
    "AWS::RDS::DBCluster": Database,
    "AWS::SNS::Subscription": Subscription,
    "AWS::SES::EmailIdentity": Sender,
    "AWS::SES::ConfigurationSet": ConfigurationSet,
    "AWS::Scheduler::ScheduleGroup": AlarmGroup,
    "AWS::CloudFront::Distribution": Site,
}
#: moto knows these, but answers what our templates say by an error of its own, or can't remove them again.
BROKEN = {
    "AWS::RDS::DBInstance", "AWS::RDS::DBSubnetGroup", "AWS::EC2::VPCEndpoint", "AWS::EC2::RouteTable",
    "AWS::EC2::Route", "AWS::EC2::SubnetRouteTableAssociation",
}  # fmt: skip


@contextmanager
def taught(kinds: set[str]) -> Iterator[None]:
    """Know the given CloudFormation types, and take what Chalice gives to API Gateway."""
    from moto.cloudformation import parsing

    known = parsing.get_model_map()
    with pytest.MonkeyPatch.context() as patch:
        for kind in kinds:
            if kind not in known or kind in BROKEN:
                base = SPECIAL.get(kind, Thing)
                patch.setitem(known, kind, type(base.__name__, (base,), {"kind": kind}))  # type: ignore[arg-type]
        _take_chalice_s_api(patch)
        _remember_change_sets(patch)
        _leave_functions_alone(patch)
        _read_templates_once(patch)
        yield


def _take_chalice_s_api(patch: pytest.MonkeyPatch) -> None:
    """moto wants a description, takes no Swagger 2.0, and asks for the address of the mock integration."""
    from moto.apigateway.models import APIGatewayBackend as Gateway

    real: dict[str, Callable[..., Any]] = {
        name: getattr(Gateway, name) for name in ("import_rest_api", "put_rest_api", "put_integration")
    }

    def import_rest_api(self: Any, document: dict[str, Any], *rest: Any, **options: Any) -> Any:
        document["info"].setdefault("description", "")
        return real["import_rest_api"](self, document, *rest, **options)

    def put_rest_api(self: Any, api: str, document: dict[str, Any], *rest: Any, **options: Any) -> Any:
        document.pop("swagger", None)
        document["openapi"] = "3.0.1"
        document["info"].setdefault("description", "")
        return real["put_rest_api"](self, api, document, *rest, **options)

    def put_integration(self: Any, *rest: Any, **options: Any) -> Any:
        options.setdefault("uri", None)
        options.setdefault("integration_method", None)
        return real["put_integration"](self, *rest, **options)

    for replacement in (import_rest_api, put_rest_api, put_integration):
        patch.setattr(Gateway, replacement.__name__, replacement)


def _leave_functions_alone(patch: pytest.MonkeyPatch) -> None:
    """moto would run functions in Docker as soon as a message is in their queue; the test's world runs them."""
    from moto.awslambda.models import LambdaBackend

    patch.setattr(LambdaBackend, "send_sqs_batch", lambda *_: False)


def _read_templates_once(patch: pytest.MonkeyPatch) -> None:
    """moto parses a template seven times a change set, which is a third of the time that a deployment takes here."""
    from moto.cloudformation.models import ChangeSet, Stack

    read = cache(Stack.parse_template)

    def parse(self: Any) -> None:
        self.template_dict = deepcopy(read(self.template))

    patch.setattr(Stack, "parse_template", staticmethod(lambda template: deepcopy(read(template))))
    patch.setattr(Stack, "_parse_template", parse)
    patch.setattr(ChangeSet, "_parse_template", parse)


def _remember_change_sets(patch: pytest.MonkeyPatch) -> None:
    """moto forgets with what parameters and outputs a change set has left its stack, and what parameters change.

    It refuses one without changes, too; AWS makes it, in the state FAILED, as moto does one layer further down.
    """
    from moto.cloudformation.models import Change, ChangeSet
    from moto.cloudformation.parsing import ResourceMap
    from moto.cloudformation.responses import CloudFormationResponse

    apply = ChangeSet.apply

    def apply_and_remember(self: Any) -> None:
        apply(self)
        self.stack.parameters = dict(self.stack.resource_map.resolved_parameters)
        self.stack.template_dict = self.template_dict
        self.stack.output_map = self.stack._create_output_map()

    def diff(self: Any) -> list[Any]:
        resources = {**self.stack.resource_map._resource_json_map, **self.template_dict["Resources"]}
        found = self.stack.resource_map.build_resource_diff(self.template_dict, self.parameters)
        return [Change(action, name, resources[name]["Type"]) for action, names in found.items() for name in names]

    look_for_names = ResourceMap.build_resource_diff

    def look_behind_conditions(self: Any, template: dict[str, Any], parameters: Any = None) -> dict[str, list[str]]:
        found = look_for_names(self, template, parameters)
        changed = [name for name, value in (parameters or {}).items() if self.input_parameters.get(name) != value]
        for name, resource in template["Resources"].items():
            used = re.findall(r'"Fn::If": \["(\w+)"', json.dumps(resource["Properties"]))
            behind = json.dumps([template["Conditions"][condition] for condition in used])
            known = name in self._resource_json_map and name not in found["Modify"]
            if known and any(f'"Ref": "{parameter}"' in behind for parameter in changed):
                found["Modify"].append(name)
        return found

    patch.setattr(ResourceMap, "build_resource_diff", look_behind_conditions)
    patch.setattr(ChangeSet, "apply", apply_and_remember)
    patch.setattr(ChangeSet, "diff", diff)
    patch.setattr(CloudFormationResponse, "_validate_different_update", lambda *_: None)
