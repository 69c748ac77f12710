"""A deployment, step by step. Each can be repeated, so one that was cut off goes on when the command is run again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from infrastructure.deploy import build, finish, lock, smoke, stacks, state, static
from infrastructure.deploy.cloud import ROOT, Cloud, Problem

BASE = ROOT / "infrastructure" / "base.yaml"
EDGE = ROOT / "infrastructure" / "edge.yaml"
#: What the operator may set, by stack; the rest is worked out here.
BASE_OPTIONS = {
    "MailFrom", "MailIdentity", "AdminEmail", "SafeModeAddress", "MinCapacity", "MaxCapacity", "Protection",
    "MonthlyBudget",
}  # fmt: skip
EDGE_OPTIONS = {"DomainName", "CertificateArn", "HostedZoneId"}


@dataclass
class Deployment:
    """One run of `make deploy`. `options` are the operator's, such as MailFrom."""

    cloud: Cloud
    options: dict[str, str]
    packing: build.Packing = field(default_factory=build.Packing)
    outputs: dict[str, str] = field(default_factory=dict)
    base_url: str = ""
    api: str = ""
    copy: Path = ROOT

    @property
    def base(self) -> str:
        """Return the name of the stack that lasts."""
        return f"{self.cloud.app}-base"

    @property
    def edge(self) -> str:
        """Return the name of the stack of the public address."""
        return f"{self.cloud.app}-edge"

    def run(self) -> None:
        """Deploy; raises Problem with what to do when a step fails."""
        check(self)
        with lock.held(self.cloud):
            for number, (says, step) in enumerate(STEPS, 1):
                self.cloud.say(f"[{number}/{len(STEPS)}] {says}")
                step(self)
        self.cloud.say(f"Deployed: {self.base_url}")

    def plan(self) -> None:
        """Say what a deployment would change, and change nothing."""
        check(self)
        with lock.held(self.cloud):
            for name, template, values in ((self.base, BASE, base_values(self)), (self.edge, EDGE, edge_values(self))):
                if template is EDGE and not values.get("ApiDomain"):
                    self.cloud.say(f"{name}: will be made once the API has an address.")
                    continue
                planned = stacks.plan(self.cloud, name, template, values)
                stacks.show(self.cloud, planned)
                stacks.drop(self.cloud, planned)
            _say_functions(self.cloud)


def check(deployment: Deployment) -> None:
    """Look at what the operator gave.

    Raises Problem naming what is missing or unknown.
    """
    unknown = set(deployment.options) - BASE_OPTIONS - EDGE_OPTIONS
    if unknown:
        known = ", ".join(sorted(BASE_OPTIONS | EDGE_OPTIONS))
        raise Problem(f"Unknown: {', '.join(sorted(unknown))}. What can be set: {known}.")
    if stacks.status(deployment.cloud, deployment.base) in stacks.UNBORN | stacks.STILLBORN:
        missing = [name for name in ("MailFrom", "AdminEmail") if name not in deployment.options]
        if missing:
            raise Problem(
                f"A new stage needs {' and '.join(missing)}: make deploy STAGE={deployment.cloud.stage} "
                'SET="MailFrom=no-reply@uni.example AdminEmail=you@uni.example"'
            )


def base_values(deployment: Deployment) -> stacks.Parameters:
    """Return the parameters of the stack that lasts, those that change only."""
    cloud, options = deployment.cloud, deployment.options
    values = {name: value for name, value in options.items() if name in BASE_OPTIONS}
    if stacks.settle(cloud, deployment.base) in stacks.UNBORN:
        identity = options.get("MailIdentity", options["MailFrom"].rpartition("@")[2])
        values = {
            "Stage": cloud.stage,
            "MailIdentity": identity,
            "MakesMailIdentity": "no" if _is_known_to_ses(cloud, identity) else "yes",
            "SafeModeAddress": options["AdminEmail"],  # nobody gets mail before the operator says so
            "Protection": "on" if cloud.stage == "prod" else "off",
            **values,
        }
    address = stacks.outputs(cloud, deployment.edge).get("BaseUrl")
    return {**values, "SiteOrigin": address} if address else values


def _is_known_to_ses(cloud: Cloud, identity: str) -> bool:
    """Tell whether somebody, perhaps another stage, has told SES of the identity."""
    ses = cloud.client("sesv2")
    try:
        ses.get_email_identity(EmailIdentity=identity)
    except ses.exceptions.NotFoundException:
        return False
    return True


def edge_values(deployment: Deployment) -> stacks.Parameters:
    """Return the parameters of the public address; without an API there is no `ApiDomain`."""
    cloud = deployment.cloud
    values = {name: value for name, value in deployment.options.items() if name in EDGE_OPTIONS}
    base = stacks.outputs(cloud, deployment.base)
    api = next((each["rest_api_url"] for each in state.found(cloud) if each["resource_type"] == "rest_api"), "")
    if not api:
        return values
    known = {name: base[name] for name in ("BucketDomain", "EdgeKeySecret")}
    return {"Stage": cloud.stage, "ApiDomain": api.split("/")[2], **known, **values}


def _say_functions(cloud: Cloud) -> None:
    there = {each["name"] for each in state.found(cloud) if each["resource_type"] == "lambda_function"}
    for function in state.functions():
        cloud.say(f"  {'renew' if function in there else 'add'} {state.function_name(cloud, function)} (function)")


def _fetch(deployment: Deployment) -> None:
    """Have everything from elsewhere at hand before anything in the account is changed."""
    build.dependencies(deployment.cloud, deployment.packing)
    build.authorities(deployment.cloud)


def _make_base(deployment: Deployment) -> None:
    planned = stacks.plan(deployment.cloud, deployment.base, BASE, base_values(deployment))
    stacks.show(deployment.cloud, planned)
    _say_functions(deployment.cloud)
    deployment.outputs = stacks.apply(deployment.cloud, planned)
    deployment.base_url = stacks.outputs(deployment.cloud, deployment.edge).get("BaseUrl", "")


def _build(deployment: Deployment) -> None:
    deployment.copy = build.make(deployment.cloud, deployment.outputs, deployment.base_url, deployment.packing)


def _fetch_state(deployment: Deployment) -> None:
    state.fetch(deployment.cloud, deployment.copy, deployment.outputs["Bucket"])


def _upload_static(deployment: Deployment) -> None:
    count = static.upload(deployment.cloud, deployment.outputs["Bucket"], _static_files(deployment))
    deployment.cloud.say(f"  {count} new")


def _static_files(deployment: Deployment) -> Path:
    return deployment.copy / "chalicelib" / "static"


def _deploy_functions(deployment: Deployment) -> None:
    build.chalice(deployment.cloud, deployment.copy, "deploy")
    build.check_size(deployment.copy)


def _keep_state(deployment: Deployment) -> None:
    resources = state.put_back(deployment.cloud, deployment.copy, deployment.outputs["Bucket"])
    deployment.api = next(each["rest_api_id"] for each in resources if each["resource_type"] == "rest_api")


def _finish_functions(deployment: Deployment) -> None:
    finish.report_failures_one_by_one(deployment.cloud)
    finish.give_error_pages(deployment.cloud, deployment.api)


def _make_edge(deployment: Deployment) -> None:
    planned = stacks.plan(deployment.cloud, deployment.edge, EDGE, edge_values(deployment))
    stacks.show(deployment.cloud, planned)
    deployment.base_url = stacks.apply(deployment.cloud, planned)["BaseUrl"]


def _tell_address(deployment: Deployment) -> None:
    told = finish.tell_address(deployment.cloud, deployment.base_url)
    deployment.cloud.say(f"  {deployment.base_url}, new to {told} functions")
    planned = stacks.plan(deployment.cloud, deployment.base, BASE, {"SiteOrigin": deployment.base_url})
    deployment.outputs = stacks.apply(deployment.cloud, planned)


def _migrate(deployment: Deployment) -> None:
    found = deployment.cloud.invoke("migrate", {"do": "migrate"})
    deployment.cloud.say(f"  The schema is at {found['revision']}.")


def _smoke(deployment: Deployment) -> None:
    smoke.test(deployment.cloud, deployment.outputs, deployment.base_url)


def _forget_static(deployment: Deployment) -> None:
    static.forget_old(deployment.cloud, deployment.outputs["Bucket"], _static_files(deployment))


def _first_admin(deployment: Deployment) -> None:
    found = deployment.cloud.invoke("migrate", {"do": "first admin", "email": deployment.outputs["AdminEmail"]})
    if found.get("link"):
        deployment.cloud.say(f"  {deployment.outputs['AdminEmail']} sets a password here, once, within seven days:")
        deployment.cloud.say(f"  {found['link']}")
    else:
        deployment.cloud.say(f"  {deployment.outputs['AdminEmail']} has an account.")


STEPS: tuple[tuple[str, Callable[[Deployment], None]], ...] = (
    ("Dependencies", _fetch),
    ("Network, database, queues, mail (the first time 15 minutes)", _make_base),
    ("Build copy", _build),
    ("What Chalice made before", _fetch_state),
    ("Static files", _upload_static),
    ("Functions and API", _deploy_functions),
    ("Remember what Chalice made", _keep_state),
    ("Failed messages one by one, error pages", _finish_functions),
    ("Public address (the first time 5 minutes)", _make_edge),
    ("Tell the functions their address", _tell_address),
    ("Database schema", _migrate),
    ("Smoke test (up to 5 minutes: an alarm has to go off)", _smoke),
    ("Remove static files replaced 30 days ago", _forget_static),
    ("First administrator", _first_admin),
)
