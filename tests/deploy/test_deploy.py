"""`make deploy`, a change, `make deploy` again, `make destroy`: the whole of it against the emulated AWS.

What is not proven here: that AWS itself makes what the templates describe (moto knows a good part of the types only in
name), that Lambda runs the package (test_package.py comes as near as it can), and CloudFront.
"""

from __future__ import annotations

import ast
import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest

import app
from chalicelib.web.static import version_of
from infrastructure.deploy import lock, removal, static, steps
from infrastructure.deploy.cloud import Problem
from infrastructure.deploy.steps import Deployment
from tests.deploy import aws, calls
from tests.deploy.templates import ROOT
from tests.deploy.world import OPTIONS, SITE, Unpacked, World, config

FUNCTIONS = {
    name: f"ontask-dev-{name}" if name != "api_handler" else "ontask-dev" for name in config()["lambda_functions"]
}
QUEUES = {"work_job": "ontask-dev-jobs", "send_batch": "ontask-dev-outbox", "record_events": "ontask-dev-events"}


def environment_of(world: World, function: str) -> dict[str, str]:
    """The environment of a function as AWS has it."""
    made = world.client("lambda").get_function_configuration(FunctionName=FUNCTIONS[function])
    variables: dict[str, str] = made["Environment"]["Variables"]
    return variables


def is_all_there(world: World) -> None:
    """Look at everything that a deployment leaves, with boto3."""
    found = world.everything()
    assert found["functions"] == set(FUNCTIONS.values())
    functions_are_set_up(world)
    events_are_wired(world)
    api_has_all_routes(world)
    assert found["parameters"] == set(), "nobody holds the lock"
    assert found["stacks"] == {"ontask-dev-base", "ontask-dev-edge"}
    assert len(found["secrets"]) == 6


def functions_are_set_up(world: World) -> None:
    """Memory, time, network, environment, policy and role of every function."""
    settings = config()
    lambdas, iam = world.client("lambda"), world.client("iam")
    for name, full in FUNCTIONS.items():
        made = lambdas.get_function_configuration(FunctionName=full)
        assert made["MemorySize"] == settings["lambda_functions"][name]["lambda_memory_size"]
        assert made["Timeout"] == settings["lambda_functions"][name]["lambda_timeout"]
        assert made["Runtime"] == "python3.13"
        assert len(made["VpcConfig"]["SubnetIds"]) == 2
        assert len(made["VpcConfig"]["SecurityGroupIds"]) == 1
        reserved = lambdas.get_function_concurrency(FunctionName=full)["ReservedConcurrentExecutions"]
        assert reserved == settings["stages"]["dev"]["lambda_functions"][name]["reserved_concurrency"]
        environment = environment_of(world, name)
        assert environment["BASE_URL"] == SITE
        assert "SECRET_KEY" not in environment
        assert "made-up value" not in json.dumps(environment), "no secret stands in an environment"
        assert made["Role"].endswith(f":role/ontask-dev-{name}")
        policy = iam.get_role_policy(RoleName=f"ontask-dev-{name}", PolicyName=f"ontask-dev-{name}")["PolicyDocument"]
        written = json.loads((ROOT / "infrastructure" / "policies" / f"{name}.json").read_text())
        assert [part["Action"] for part in policy["Statement"]] == [part["Action"] for part in written["Statement"]]
        assert not [part for part in policy["Statement"] if "Reason" in part], "IAM refuses unknown words"
        assert "${" not in json.dumps(policy)
    owner = environment_of(world, "migrate")["DATABASE_SECRET"]
    assert "rds!cluster" in owner
    assert owner not in {environment_of(world, name)["DATABASE_SECRET"] for name in FUNCTIONS if name != "migrate"}


def events_are_wired(world: World) -> None:
    """Queues, daily rule and alarms."""
    mappings = world.client("lambda").list_event_source_mappings()["EventSourceMappings"]
    wired = {each["FunctionArn"].split(":")[6]: each["EventSourceArn"].split(":")[5] for each in mappings}
    assert wired == {FUNCTIONS[name]: queue for name, queue in QUEUES.items()}
    assert len(mappings) == len(QUEUES)
    assert all(each["FunctionResponseTypes"] == ["ReportBatchItemFailures"] for each in mappings)
    (rule,) = world.client("events").list_rules()["Rules"]
    assert rule["ScheduleExpression"] == "cron(17 3 * * ? *)"
    (target,) = world.client("events").list_targets_by_rule(Rule=rule["Name"])["Targets"]
    assert target["Arn"].endswith(":ontask-dev-tidy")
    role = world.client("iam").get_role(RoleName="ontask-dev-alarms")["Role"]
    (trust,) = role["AssumeRolePolicyDocument"]["Statement"]
    assert trust["Principal"] == {"Service": "scheduler.amazonaws.com"}
    right = world.client("iam").get_role_policy(RoleName="ontask-dev-alarms", PolicyName="invoke-run-due")
    # As moto keeps what a stack gave it: not JSON but Python's words for it.
    (statement,) = ast.literal_eval(right["PolicyDocument"])["Statement"]
    assert statement["Resource"] == environment_of(world, "run_due")["RUN_DUE_ARN"]
    for queue in QUEUES.values():
        url = world.client("sqs").get_queue_url(QueueName=queue)["QueueUrl"]
        attributes = world.client("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
        assert json.loads(attributes["RedrivePolicy"])["deadLetterTargetArn"].endswith(f"{queue}-dead")


def api_has_all_routes(world: World) -> None:
    """Every route of the app, behind our function, with error pages for people, where the distribution looks for it."""
    gateway = world.client("apigateway")
    (api,) = gateway.get_rest_apis()["items"]
    resources = gateway.get_resources(restApiId=api["id"], limit=500, embed=["methods"])["items"]
    made = {(each["path"], method) for each in resources for method in each.get("resourceMethods", {})}
    wanted = {(path, method) for path, methods in app.app.routes.items() for method in methods}
    assert {route for route in made if route[1] != "OPTIONS"} == wanted
    uris = {method["methodIntegration"]["uri"] for each in resources
            for method in each.get("resourceMethods", {}).values()}  # fmt: skip
    assert all(":function:ontask-dev/invocations" in uri for uri in uris)
    pages = {each["responseType"]: each for each in gateway.get_gateway_responses(restApiId=api["id"])["items"]}
    lost = pages["MISSING_AUTHENTICATION_TOKEN"]
    assert lost["statusCode"] == "404"
    assert "There is no such page" in lost["responseTemplates"]["text/html"]
    assert world.api_domain() == f"{api['id']}.execute-api.us-east-1.amazonaws.com"


def nothing_is_left(world: World) -> None:
    """An account as it was before."""
    assert {kind: things for kind, things in world.everything().items() if things} == {}


def release_in(world: World) -> set[str]:
    """The releases whose static files are in the bucket."""
    listed = world.client("s3").list_objects_v2(Bucket="ontask-dev-123456789012-us-east-1", Prefix="static/")
    return {each["Key"].split("/")[1] for each in listed.get("Contents", [])}


def test_a_stage_is_deployed_changed_and_removed(world: World) -> None:
    world.deploy(**OPTIONS)
    told = world.heard()
    is_all_there(world)
    assert "add Database (AWS::RDS::DBCluster)" in told, "it says beforehand what it will make"
    assert told.index("add ontask-dev-migrate (function)") < told.index("[3/")
    for function, made in world.calls.items():
        assert made <= calls.of(function), "the reader of the source, by which policies are checked, knows every call"
    assert {"sqs.send_message", "scheduler.create_schedule", "secretsmanager.get_secret_value"} <= world.calls[
        "migrate"
    ]
    for works in ("healthz?deep=1", "sign-in", "a job through the queue", "a job woken by an alarm",
                  "the event of a mail to Amazon's simulator"):  # fmt: skip
        assert f"Works: {SITE}/{works}" in told or f"Works: {works}" in told, told
    link = next(line.strip() for line in told.splitlines() if "/welcome/" in line)
    page = world.get(link)
    assert page.status == 200
    assert environment_of(world, "send_batch")["SAFE_MODE_ADDRESS"] == "ana@uni.example", (
        "a new stage mails nobody else"
    )
    (bucket,) = world.everything()["buckets"]
    first = release_in(world)
    assert first == {world.static_version()}
    file = world.client("s3").head_object(Bucket=bucket, Key=f"static/{world.static_version()}/css/app.css")
    assert (file["ContentType"], "immutable" in file["CacheControl"]) == ("text/css; charset=utf-8", True)

    world.release = Unpacked(style="p { color: red }")
    (api,) = world.everything()["APIs"]
    kept = world.everything()
    world.deploy(SafeModeAddress="off", MonthlyBudget="80")
    told = world.heard()
    is_all_there(world)
    assert "modify Costs (AWS::Budgets::Budget)" in told
    assert "modify Database " not in told
    assert world.everything() == kept, "nothing was made twice or made anew"
    assert world.everything()["APIs"] == {api}
    assert "SAFE_MODE_ADDRESS" not in environment_of(world, "send_batch")
    assert environment_of(world, "send_batch")["MAIL_FROM"] == "no-reply@uni.example", "what was set before stays"
    assert release_in(world) == first | {world.static_version()}, "pages that are still open find their files"
    assert "has an account" not in told, "the first link was not used yet, so there is a new one"

    world.client("s3").put_object(Bucket=bucket, Key="uploads/1/1", Body=b"a,b")
    logs = world.client("logs")
    logs.create_log_group(logGroupName="/aws/lambda/ontask-dev-of_an_older_release")
    logs.create_log_group(logGroupName="/aws/lambda/ontask-development")  # somebody else's
    removal.run(world.cloud())
    assert world.everything()["logs"] == {"/aws/lambda/ontask-development"}
    logs.delete_log_group(logGroupName="/aws/lambda/ontask-development")
    nothing_is_left(world)
    told = world.heard()
    assert "final snapshot" in told
    assert "secrets" in told


def test_static_files_of_an_old_release_go_after_a_month(world: World, tmp_path: Path) -> None:
    bucket = "ontask-dev-123456789012-us-east-1"
    world.client("s3").create_bucket(Bucket=bucket)

    def release(style: str) -> str:
        (tmp_path / "app.css").write_text(style)
        static.upload(world.cloud(), bucket, tmp_path)
        static.forget_old(world.cloud(), bucket, tmp_path)
        return version_of(tmp_path)

    old = release("p { color: green }")
    new = release("p { color: red }")
    world.time.advance(days=29)
    release("p { color: red }")
    assert release_in(world) == {old, new}
    world.time.advance(days=2)
    release("p { color: red }")
    assert release_in(world) == {new}


class Killed(BaseException):
    """The deployment's process is gone."""


def chalice_s_process() -> int:
    """The process that this one has started for Chalice."""
    for path in Path("/proc").glob("[0-9]*"):
        try:
            parent = path.joinpath("stat").read_text().rpartition(")")[2].split()[1]
            words = path.joinpath("cmdline").read_bytes()
        except OSError:
            continue
        if int(parent) == os.getpid() and b"chalice_cli" in words:
            return int(path.name)
    raise AssertionError("Chalice does not run")


def kill_chalice_once(patch: pytest.MonkeyPatch, owner: Any, name: str, *, at: int) -> None:
    """Kill Chalice's process just when AWS has done the `at`th such call."""
    real, count = getattr(owner, name), 0

    def done_and_killed(*rest: Any, **options: Any) -> Any:
        nonlocal count
        made = real(*rest, **options)
        count += 1
        if count == at:
            os.kill(chalice_s_process(), signal.SIGKILL)
        return made

    patch.setattr(owner, name, done_and_killed)


def test_a_deployment_that_is_killed_anywhere_goes_on_when_it_is_run_again(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    from moto.apigateway.models import APIGatewayBackend
    from moto.awslambda.models import LambdaBackend

    def deploy_until(step: int) -> None:
        """Run it until it says that this step begins; the lock stays, as a killed process leaves it."""

        def say(line: str) -> None:
            world.say(line)
            if line.startswith(f"[{step}/"):
                raise Killed

        cloud = world.cloud()
        cloud.say = say
        with pytest.raises(Killed):
            Deployment(cloud, options, packing=world.release).run()

    options = {**OPTIONS, "Protection": "on"}  # as in prod
    inside = 1 + [says for says, _ in steps.STEPS].index("Functions and API")
    behind = range(inside + 3, len(steps.STEPS) + 1, 3)  # not all of them: each time Chalice does everything again
    for step in (*range(1, inside + 2), *behind):
        if step == inside + 1:  # Chalice makes functions, event sources and the API, and then forgets them
            for owner, name, at in (
                (LambdaBackend, "create_event_source_mapping", 2),
                (APIGatewayBackend, "import_rest_api", 1),
            ):
                with pytest.MonkeyPatch.context() as patch:
                    kill_chalice_once(patch, owner, name, at=at)
                    with pytest.raises(Problem, match="chalice deploy"):
                        world.deploy(**options)
        deploy_until(step)
    assert lock.holder_of(world.cloud())
    world.deploy(**options)
    assert "cut off; going on" in world.heard()
    is_all_there(world)

    # The same for the removal.
    assert aws.Thing.live["ontask-dev-base/Database"].properties["DeletionProtection"] is True
    for step in range(1, 6):
        cloud = world.cloud()

        def say(line: str, step: int = step) -> None:
            if line.startswith(f"[{step}/"):
                raise Killed

        cloud.say = say
        with pytest.raises(Killed):
            removal.run(cloud)
    removal.run(world.cloud())
    nothing_is_left(world)
