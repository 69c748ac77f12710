"""What an operator reads when something is missing, or somebody else is at it."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import boto3
import pytest

from infrastructure.deploy import build, lock, stacks
from infrastructure.deploy.__main__ import main
from infrastructure.deploy.cloud import Cloud, Problem
from infrastructure.deploy.steps import BASE, Deployment, base_values, check
from tests.deploy import aws
from tests.deploy.templates import ROOT
from tests.deploy.world import OPTIONS, World

Said = pytest.CaptureFixture[str]


@pytest.fixture
def no_profile(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> pytest.MonkeyPatch:
    """A machine on which nobody has set up AWS."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_DEFAULT_REGION", "AWS_REGION", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    return monkeypatch


def test_without_a_region_it_says_how_to_name_one(no_profile: pytest.MonkeyPatch, capsys: Said) -> None:
    assert main(["deploy", "--stage", "dev"]) == 1
    assert capsys.readouterr().err.strip() == (
        "Say which AWS region to use: AWS_DEFAULT_REGION=eu-west-1, or a profile that names one."
    )


def test_without_credentials_it_says_how_to_give_them(no_profile: pytest.MonkeyPatch, capsys: Said) -> None:
    no_profile.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    assert main(["deploy", "--stage", "dev"]) == 1
    said = capsys.readouterr().err
    assert said.startswith("There are no AWS credentials. Give them the usual way: AWS_PROFILE")
    assert said.count("\n") == 1


def test_a_profile_that_is_not_there_is_named(no_profile: pytest.MonkeyPatch, capsys: Said) -> None:
    no_profile.setenv("AWS_PROFILE", "uni")
    assert main(["plan", "--stage", "dev"]) == 1
    assert "(uni) could not be found" in capsys.readouterr().err


@pytest.mark.parametrize("stage", ["", "live"])
def test_an_unknown_stage_is_refused_with_those_there_are(stage: str, capsys: Said) -> None:
    assert main(["deploy", "--stage", stage]) == 1
    assert capsys.readouterr().err == "Say which stage: STAGE=dev or STAGE=prod.\n"


def test_a_new_stage_needs_a_sender_and_an_administrator(world: World, capsys: Said) -> None:
    assert main(["deploy", "--stage", "dev", "--set", "MailFrom=no-reply@uni.example"]) == 1
    assert capsys.readouterr().err.startswith("A new stage needs AdminEmail: make deploy STAGE=dev")
    assert world.everything()["stacks"] == set()
    assert world.everything()["parameters"] == set()


@pytest.mark.parametrize(
    ("given", "says"), [("MailFrom", "is not of the form"), ("Mail=x", "What can be set: AdminEmail")]
)
def test_a_mistyped_setting_is_named(world: World, capsys: Said, given: str, says: str) -> None:
    assert main(["deploy", "--stage", "dev", "--set", given]) == 1
    assert says in capsys.readouterr().err


def test_the_plan_says_what_would_change_and_changes_nothing(world: World) -> None:
    before = world.everything()
    Deployment(world.cloud(), OPTIONS).plan()
    told = world.heard()
    assert "add Database (AWS::RDS::DBCluster)" in told
    assert "add ontask-dev-send_batch (function)" in told
    assert world.everything() == before


def test_two_at_once_are_told_of_each_other(world: World, tmp_path: Path) -> None:
    with lock.held(world.cloud()):
        with pytest.raises(Problem, match="under way on this machine"):
            world.deploy(**OPTIONS)
        # From another machine or checkout: another folder, another name.
        ssm = world.client("ssm")
        value = json.dumps({"by": "ana on laptop in /srv/ontask", "at": "2026-03-02T11:58:00+00:00"})
        ssm.put_parameter(Name=lock.name(world.cloud()), Value=value, Type="String", Overwrite=True)
        world.folder = tmp_path / "elsewhere"
        with pytest.raises(Problem, match=r"ana on laptop in /srv/ontask has been deploying dev since .*make unlock"):
            world.deploy(**OPTIONS)
        assert world.everything()["stacks"] == set()


def test_the_lock_of_a_dead_run_elsewhere_is_taken_away_by_hand(world: World, capsys: Said) -> None:
    value = json.dumps({"by": "ana on laptop in /srv/ontask", "at": "2026-03-02T11:58:00+00:00"})
    world.client("ssm").put_parameter(Name=lock.name(world.cloud()), Value=value, Type="String")
    assert main(["unlock", "--stage", "dev"]) == 0
    assert lock.holder_of(world.cloud()) == {}


@pytest.fixture
def base(world: World) -> Any:
    """The stack that lasts, as moto has it inside."""
    deployment = Deployment(world.cloud(), OPTIONS)
    stacks.apply(world.cloud(), stacks.plan(world.cloud(), deployment.base, BASE, base_values(deployment)))
    (stack,) = aws.backend("cloudformation").stacks.values()
    return stack


def test_a_stack_that_fails_is_told_with_its_reasons(world: World, base: Any) -> None:
    base._add_stack_event("UPDATE_FAILED", resource_status_reason="The quota of NAT gateways is used up")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            type(base), "status", property(lambda _: "UPDATE_ROLLBACK_COMPLETE", lambda *_: None), raising=False
        )
        with pytest.raises(
            Problem, match=r"ended as UPDATE_ROLLBACK_COMPLETE.*NAT gateways.*run the same command again"
        ):
            world.deploy(MonthlyBudget="80")
    assert lock.holder_of(world.cloud()) == {}, "the next one may begin"


def test_a_stack_that_failed_at_birth_is_cleared_away_and_made_again(world: World, base: Any) -> None:
    base.status = "ROLLBACK_COMPLETE"
    with pytest.raises(Problem, match="A new stage needs MailFrom and AdminEmail"):
        check(Deployment(world.cloud(), {}))
    values = base_values(Deployment(world.cloud(), OPTIONS))
    assert "could not be made the last time" in world.heard()
    assert world.everything()["stacks"] == set()
    assert values["MakesMailIdentity"] == "yes", "the failed stack's sender went with it"


def test_a_parameter_that_the_template_has_no_more_is_left_out(world: World, base: Any, tmp_path: Path) -> None:
    shorter = tmp_path / "base.yaml"
    text = BASE.read_text().replace("!Ref MonthlyBudget", "150")
    shorter.write_text(re.sub(r"  MonthlyBudget:\n(    .*\n)+", "", text))
    sent: list[str] = []

    def note(params: dict[str, Any], **_: Any) -> None:
        sent.extend(each["ParameterKey"] for each in params["Parameters"])

    world.client("cloudformation").meta.events.register("provide-client-params.cloudformation.CreateChangeSet", note)
    stacks.apply(world.cloud(), stacks.plan(world.cloud(), "ontask-dev-base", shorter, {}))
    assert "MailFrom" in sent
    assert "MonthlyBudget" not in sent, "AWS refuses parameters that the template does not know"


def test_a_second_stage_uses_the_sender_that_the_first_has_made(world: World, base: Any, capsys: Said) -> None:
    world.stage = "prod"
    deployment = Deployment(world.cloud(), OPTIONS)
    values = base_values(deployment)
    assert values["MakesMailIdentity"] == "no", "SES knows each sender once in a region"
    stacks.apply(world.cloud(), stacks.plan(world.cloud(), deployment.base, BASE, values))
    senders = [each for each in aws.Thing.live.values() if each.type == "AWS::SES::EmailIdentity"]
    assert len(senders) == 1
    assert aws.Thing.live["ontask-prod-base/Database"].properties["DeletionProtection"] is True
    assert main(["destroy", "--stage", "dev", "--sure", "dev"]) == 1, "prod could send no mail any more"
    assert "prod sends by uni.example too" in capsys.readouterr().err
    assert {"ontask-dev-base", "ontask-prod-base"} <= world.everything()["stacks"]


def test_nothing_is_destroyed_unless_the_stage_is_named_again(world: World, capsys: Said) -> None:
    assert main(["destroy", "--stage", "dev"]) == 1
    assert "make destroy STAGE=dev SURE=dev" in capsys.readouterr().err
    assert main(["destroy", "--stage", "dev", "--sure", "prod"]) == 1


def test_destroying_what_is_not_there_is_fine(world: World, capsys: Said) -> None:
    assert main(["destroy", "--stage", "dev", "--sure", "dev"]) == 0
    assert "Stage dev is gone" in capsys.readouterr().out


def test_smoke_without_a_deployment_says_to_deploy_first(world: World, capsys: Said) -> None:
    assert main(["smoke", "--stage", "dev"]) == 1
    assert capsys.readouterr().err == "dev is not deployed: make deploy STAGE=dev\n"


def test_too_few_functions_at_once_in_a_new_account_are_explained(tmp_path: Path) -> None:
    cloud = Cloud("dev", boto3.Session())
    copy = tmp_path / "dev"
    copy.mkdir()
    (copy / "chalice.py").write_text("raise SystemExit('decreases account UnreservedConcurrentExecution below 100')")
    with pytest.raises(Problem, match="Ask AWS for 1,000"):
        build.chalice(cloud, copy, "deploy")


def test_every_command_of_the_makefile_is_one_that_the_module_knows() -> None:
    makefile = (ROOT / "Makefile").read_text()
    (line,) = [each for each in makefile.splitlines() if each.startswith("deploy plan")]
    for command in line.split(":")[0].split():
        assert main([command, "--stage", ""]) == 1, "it asks for the stage"


def test_nothing_of_an_account_is_in_the_repository() -> None:
    for path in [*(ROOT / "infrastructure").rglob("*"), ROOT / ".chalice" / "config.json"]:
        if path.suffix in {".yaml", ".json", ".py"}:
            found = re.search(
                r"\b\d{12}\b|\w\.(cloudfront\.net|execute-api)|\b(vpc|subnet|sg|arn:aws)[-:]\w{8}", path.read_text()
            )
            assert found is None, f"{path.name}: {found}"
