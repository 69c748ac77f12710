"""`make destroy`: take a stage away, and say what AWS keeps of it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from typing import Any

from infrastructure.deploy import build, lock, stacks, state
from infrastructure.deploy.cloud import ROOT, Cloud, Problem
from infrastructure.deploy.steps import BASE

POLL_SECONDS = 30


def run(cloud: Cloud) -> None:
    """Remove the stage. Each step can be repeated; one that was cut off goes on when the command is run again."""
    base, edge = f"{cloud.app}-base", f"{cloud.app}-edge"
    with lock.held(cloud):
        _check_sender(cloud, base)
        cloud.say("[1/5] Public address")
        stacks.settle(cloud, edge)
        stacks.delete(cloud, edge)
        stacks.settle(cloud, base)
        outputs = stacks.outputs(cloud, base)
        cloud.say("[2/5] Functions and API")
        _delete_functions(cloud, outputs.get("Bucket", ""))
        _wait_for_network(cloud, outputs.get("Vpc", ""))
        cloud.say("[3/5] Files")
        if outputs.get("Bucket"):
            _empty(cloud, outputs["Bucket"])
        cloud.say("[4/5] Database, network, queues, mail")
        if stacks.parameters(cloud, base).get("Protection") == "on":
            stacks.apply(cloud, stacks.plan(cloud, base, BASE, {"Protection": "off"}))
        stacks.delete(cloud, base)
        cloud.say("[5/5] Logs")
        _delete_logs(cloud)
        shutil.rmtree(cloud.folder / cloud.stage, ignore_errors=True)
    cloud.say(f"Stage {cloud.stage} is gone. What AWS keeps:")
    cloud.say(f"  the final snapshot of the database, named {base}-snapshot-…: delete it in RDS when nobody needs it")
    cloud.say("  the deleted secrets for 30 days, at no cost")


def _check_sender(cloud: Cloud, base: str) -> None:
    """Raise Problem when another stage sends by the sender that this one has made in SES: it would go with it."""
    ours = stacks.parameters(cloud, base)
    if ours.get("MakesMailIdentity") != "yes":
        return
    for stage in json.loads((ROOT / ".chalice" / "config.json").read_text())["stages"]:
        theirs = stacks.parameters(cloud, f"ontask-{stage}-base")
        if stage != cloud.stage and theirs.get("MailIdentity") == ours["MailIdentity"]:
            raise Problem(
                f"{stage} sends by {ours['MailIdentity']} too, which would be gone with {cloud.stage}. "
                f"Remove {stage} first, or give it another sender."
            )


def _delete_functions(cloud: Cloud, bucket: str) -> None:
    """Let Chalice delete what is there; what it knows and what the account has may differ after a killed run."""
    copy = cloud.folder / f"{cloud.stage}-removal"
    shutil.rmtree(copy, ignore_errors=True)
    resources = state.found(cloud)
    if bucket:
        names = {each["name"] for each in resources}
        resources = [*(each for each in state.read(cloud, bucket) if each["name"] not in names), *resources]
    if resources:
        # `chalice delete` goes by its configuration and its memory; the app that it insists on may be any.
        target = state.path(cloud, copy)
        target.parent.mkdir(parents=True)
        shutil.copy(ROOT / ".chalice" / "config.json", copy / ".chalice" / "config.json")
        (copy / "app.py").write_text('from chalice import Chalice\n\napp = Chalice(app_name="ontask")\n')
        target.write_text(json.dumps({"resources": resources, "schema_version": "2.0", "backend": "api"}))
        build.chalice(cloud, copy, "delete")
        if bucket:
            cloud.client("s3").delete_object(Bucket=bucket, Key=state.KEY)
    shutil.rmtree(copy, ignore_errors=True)


def _wait_for_network(cloud: Cloud, vpc: str) -> None:
    """Wait until Lambda has let go of the subnets, which takes up to 20 minutes; CloudFormation gives up before."""
    if not vpc:
        return
    filters = [{"Name": "vpc-id", "Values": [vpc]}, {"Name": "interface-type", "Values": ["lambda"]}]
    told = False
    while cloud.client("ec2").describe_network_interfaces(Filters=filters)["NetworkInterfaces"]:
        if not told:
            cloud.say("  Waiting until Lambda has left the network (up to 20 minutes) …")
            told = True
        cloud.sleep(POLL_SECONDS)


def _empty(cloud: Cloud, bucket: str) -> None:
    s3 = cloud.client("s3")
    for batch in _versions(s3, bucket):
        s3.delete_objects(Bucket=bucket, Delete={"Objects": batch, "Quiet": True})


def _versions(s3: Any, bucket: str) -> Iterator[list[dict[str, str]]]:
    for page in s3.get_paginator("list_object_versions").paginate(Bucket=bucket):
        found = [*page.get("Versions", []), *page.get("DeleteMarkers", [])]
        if found:
            yield [{"Key": each["Key"], "VersionId": each["VersionId"]} for each in found]


def _delete_logs(cloud: Cloud) -> None:
    """Delete the log groups that a function's last words have made anew."""
    logs = cloud.client("logs")
    for page in logs.get_paginator("describe_log_groups").paginate(logGroupNamePrefix=f"/aws/lambda/{cloud.app}"):
        for group in page["logGroups"]:
            name = group["logGroupName"].removeprefix(f"/aws/lambda/{cloud.app}")
            if not name or name.startswith("-"):
                logs.delete_log_group(logGroupName=group["logGroupName"])
