"""CloudFormation stacks: say what would change, change it, and go on where a killed run stopped."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

from infrastructure.deploy.cloud import ROOT, Cloud, Problem

POLL_SECONDS = 10
CAPABILITIES = ["CAPABILITY_NAMED_IAM", "CAPABILITY_AUTO_EXPAND"]
#: A stack that was never finished, or whose first change set was only looked at.
UNBORN = {"", "REVIEW_IN_PROGRESS"}
#: Failed at birth: AWS only lets such a stack be deleted.
STILLBORN = {"ROLLBACK_COMPLETE", "ROLLBACK_FAILED", "CREATE_FAILED"}

Parameters = dict[str, str]


@dataclass(frozen=True)
class Plan:
    """What a change set would do; `changes` are lines for the operator."""

    stack: str
    change_set: str
    changes: tuple[str, ...]
    is_new: bool


def describe(cloud: Cloud, stack: str) -> dict[str, Any]:
    """Return CloudFormation's description of the stack, nothing when there is none."""
    try:
        found: dict[str, Any] = cloud.client("cloudformation").describe_stacks(StackName=stack)["Stacks"][0]
    except ClientError as error:
        if "does not exist" in str(error):
            return {}
        raise
    return found


def status(cloud: Cloud, stack: str) -> str:
    """Return the stack's state, such as CREATE_COMPLETE; empty when there is none."""
    found = str(describe(cloud, stack).get("StackStatus", ""))
    return "" if found == "DELETE_COMPLETE" else found


def outputs(cloud: Cloud, stack: str) -> dict[str, str]:
    """Return the stack's outputs; none when there is no such stack."""
    return {each["OutputKey"]: each["OutputValue"] for each in describe(cloud, stack).get("Outputs", [])}


def parameters(cloud: Cloud, stack: str) -> Parameters:
    """Return the values that the stack was last given."""
    found = describe(cloud, stack).get("Parameters", [])
    return {each["ParameterKey"]: each["ParameterValue"] for each in found}


def settle(cloud: Cloud, stack: str) -> str:
    """Wait until nothing is under way, clear away a failed birth, and return the stack's state."""
    found = status(cloud, stack)
    while found.endswith("_IN_PROGRESS") and found not in UNBORN:
        cloud.sleep(POLL_SECONDS)
        found = status(cloud, stack)
    if found in STILLBORN:
        cloud.say(f"{stack} could not be made the last time; clearing it away …")
        delete(cloud, stack)
        return ""
    return found


def plan(cloud: Cloud, stack: str, template: Path, values: Parameters) -> Plan:
    """Have CloudFormation compare the template with what there is. `values` are those to change; the others stay."""
    is_new = settle(cloud, stack) in UNBORN
    formation = cloud.client("cloudformation")
    all_values = values if is_new else {**parameters(cloud, stack), **values}
    # An older template may have asked for more.
    asked = formation.get_template_summary(TemplateBody=template.read_text())["Parameters"]
    known = {each["ParameterKey"] for each in asked}
    made = formation.create_change_set(
        StackName=stack,
        ChangeSetName=f"deploy-{uuid.uuid4().hex}",
        ChangeSetType="CREATE" if is_new else "UPDATE",
        TemplateBody=template.read_text(),
        Parameters=[
            {"ParameterKey": key, "ParameterValue": value} for key, value in all_values.items() if key in known
        ],
        Capabilities=CAPABILITIES,
        Tags=[{"Key": "ontask:stage", "Value": cloud.stage}],
    )
    change_set = made["Id"]
    found = formation.describe_change_set(ChangeSetName=change_set, StackName=stack)
    while found["Status"] in {"CREATE_PENDING", "CREATE_IN_PROGRESS"}:
        cloud.sleep(2)
        found = formation.describe_change_set(ChangeSetName=change_set, StackName=stack)
    if found["Status"] == "FAILED":
        formation.delete_change_set(ChangeSetName=change_set, StackName=stack)
        reason = found.get("StatusReason", "")
        if "didn't contain changes" in reason or "No updates" in reason:
            return Plan(stack, "", (), is_new)
        raise Problem(f"CloudFormation refuses {template.relative_to(ROOT)}: {reason}")
    return Plan(stack, change_set, tuple(_changes(formation, change_set, stack, found)), is_new)


def _changes(formation: Any, change_set: str, stack: str, found: dict[str, Any]) -> list[str]:
    lines = []
    while True:
        for each in found.get("Changes", []):
            change = each["ResourceChange"]
            replaced = ", replacing it" if change.get("Replacement") == "True" else ""
            lines.append(
                f"{change['Action'].lower()} {change['LogicalResourceId']} ({change['ResourceType']}){replaced}"
            )
        if not found.get("NextToken"):
            return sorted(lines)
        found = formation.describe_change_set(
            ChangeSetName=change_set, StackName=stack, NextToken=found["NextToken"]
        )  # fmt: skip


def show(cloud: Cloud, plan: Plan) -> None:
    """Say what a plan would do."""
    if not plan.change_set:
        cloud.say(f"{plan.stack}: no changes.")
        return
    cloud.say(f"{plan.stack}: {'will be made' if plan.is_new else 'will change'}")
    for line in plan.changes:
        cloud.say(f"  {line}")


def drop(cloud: Cloud, plan: Plan) -> None:
    """Forget a plan that was only looked at; a stack that it would have made leaves nothing behind."""
    formation = cloud.client("cloudformation")
    if plan.change_set:
        formation.delete_change_set(ChangeSetName=plan.change_set, StackName=plan.stack)
    if plan.is_new:
        formation.delete_stack(StackName=plan.stack)


def apply(cloud: Cloud, plan: Plan) -> dict[str, str]:
    """Do what the plan says and return the stack's outputs.

    Raises Problem with CloudFormation's reasons when it fails; what was there before is then restored.
    """
    if plan.change_set:
        formation = cloud.client("cloudformation")
        formation.execute_change_set(ChangeSetName=plan.change_set, StackName=plan.stack)
        _wait(cloud, plan.stack, good={"CREATE_COMPLETE", "UPDATE_COMPLETE"})
    return outputs(cloud, plan.stack)


def _wait(cloud: Cloud, stack: str, good: set[str]) -> None:
    found = status(cloud, stack)
    # A change set's stack stays in review for a moment after it was told to go on.
    while found.endswith("_IN_PROGRESS"):
        cloud.sleep(POLL_SECONDS)
        found = status(cloud, stack)
    if found not in good:
        raise Problem(
            f"{stack} ended as {found}. {_reasons(cloud, stack)} Put it right and run the same command again."
        )


def _reasons(cloud: Cloud, stack: str) -> str:
    events = cloud.client("cloudformation").describe_stack_events(StackName=stack)["StackEvents"]
    failed = [each for each in events if each.get("ResourceStatus", "").endswith("_FAILED")]
    told = [f"{each['LogicalResourceId']}: {each.get('ResourceStatusReason', '')}" for each in failed]
    return " ".join(line for line in told if "cancelled" not in line)


def delete(cloud: Cloud, stack: str) -> None:
    """Remove the stack and everything in it; one that is not there is fine.

    Raises Problem when something stays.
    """
    if not status(cloud, stack):
        return
    cloud.client("cloudformation").delete_stack(StackName=stack)
    _wait(cloud, stack, good={""})
