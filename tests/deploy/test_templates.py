"""What the templates and `.chalice/config.json` promise. The emulated AWS makes half of these types only in name."""

from __future__ import annotations

import json
import re
import subprocess
from dataclasses import fields
from typing import Any

import pytest

import app
from chalicelib import metrics
from chalicelib.settings import Settings
from infrastructure.deploy.build import setting_of
from tests.deploy.templates import ROOT, as_list, of_type, statements, template

CONFIG = json.loads((ROOT / ".chalice" / "config.json").read_text())
FUNCTIONS = CONFIG["lambda_functions"]
STAGES = sorted(CONFIG["stages"])
#: Connections by the most capacity units (Aurora User Guide, "Maximum connections for Aurora Serverless v2"). A cluster
#: that may sleep never has more than 2,000.
CONNECTIONS = {1: 189, 4: 823, 8: 1669, 16: 3360}
#: Stars that stand for one installation's log streams, alarms, or files of one kind.
NARROW = (
    r"lambda/ontask-\$\{Stage\}[\w-]*:\*$|schedule/ontask-\$\{Stage\}/due-\*$"
    r"|\$\{Bucket\}/(uploads|exports|reports|images|attachments|events)/\*$"
)
#: Statements of the templates that say `*`, and why each may.
STARS = {
    "OnlyOverTls": "it denies",
    "S3Endpoint": "it only keeps our network from other people's buckets; the roles say who may do what",
}


def test_cfn_lint_has_nothing_to_say() -> None:
    paths = sorted(str(path) for path in (ROOT / "infrastructure").glob("*.yaml"))
    command = [ROOT / ".venv" / "bin" / "cfn-lint", "--regions", "us-east-1", "eu-west-1", "--", *paths]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.stdout, done.returncode) == ("", 0)


@pytest.mark.parametrize("name", ["base", "edge"])
def test_every_name_carries_the_stage(name: str) -> None:
    named = {"BucketName", "QueueName", "TopicName", "RoleName", "DBClusterIdentifier", "DBInstanceIdentifier",
             "AlarmName", "DBSubnetGroupName", "DBClusterParameterGroupName", "GroupName", "LogGroupName",
             "DashboardName", "Name", "BudgetName", "RotationLambdaName"}  # fmt: skip

    def names(value: Any) -> list[str]:
        if isinstance(value, list):
            return [name for part in value for name in names(part)]
        if not isinstance(value, dict):
            return []
        own = [as_list(part["Fn::Sub"])[0] for key, part in value.items()
               if key in named and isinstance(part, dict) and "Fn::Sub" in part]  # fmt: skip
        return own + [name for part in value.values() for name in names(part)]

    for logical, resource in template(name)["Resources"].items():
        found = names({key: part for key, part in resource["Properties"].items() if key != "Dimensions"})
        assert all("${Stage}" in each for each in found), logical


def test_the_database_is_private_encrypted_and_kept() -> None:
    (cluster,) = of_type("base", "AWS::RDS::DBCluster").values()
    (instance,) = of_type("base", "AWS::RDS::DBInstance").values()
    (parameters,) = of_type("base", "AWS::RDS::DBClusterParameterGroup").values()
    assert cluster["StorageEncrypted"] is True
    assert cluster["BackupRetentionPeriod"] == 35
    assert cluster["ManageMasterUserPassword"] is True
    assert "MasterUserPassword" not in cluster
    assert cluster["DeletionProtection"] == {"Fn::If": ["IsProtected", True, False]}
    assert cluster["ServerlessV2ScalingConfiguration"]["MinCapacity"] == {"Ref": "MinCapacity"}
    assert template("base")["Parameters"]["MinCapacity"]["Default"] == 0
    assert template("base")["Resources"]["Database"]["DeletionPolicy"] == "Snapshot"
    assert instance["PubliclyAccessible"] is False
    assert parameters["Parameters"]["rds.force_ssl"] == "1"
    subnets = of_type("base", "AWS::RDS::DBSubnetGroup")["DatabaseSubnets"]["SubnetIds"]
    private = {"PrivateSubnetA", "PrivateSubnetB"}
    assert {subnet["Ref"] for subnet in subnets} == private
    associations = of_type("base", "AWS::EC2::SubnetRouteTableAssociation").values()
    assert {
        each["SubnetId"]["Ref"] for each in associations if each["RouteTableId"]["Ref"] == "PrivateRoutes"
    } == private
    routes = of_type("base", "AWS::EC2::Route").values()
    assert not any("GatewayId" in route for route in routes if route["RouteTableId"]["Ref"] == "PrivateRoutes")


def test_only_functions_reach_the_database() -> None:
    groups = of_type("base", "AWS::EC2::SecurityGroup")
    (rule,) = groups["DatabaseGroup"]["SecurityGroupIngress"]
    assert rule["SourceSecurityGroupId"] == {"Ref": "FunctionGroup"}
    assert "SecurityGroupIngress" not in groups["FunctionGroup"]
    assert not of_type("base", "AWS::EC2::SecurityGroupIngress")


def test_there_is_one_nat_gateway_and_a_way_to_s3_beside_it() -> None:
    assert len(of_type("base", "AWS::EC2::NatGateway")) == 1
    (endpoint,) = of_type("base", "AWS::EC2::VPCEndpoint").values()
    assert endpoint["VpcEndpointType"] == "Gateway"


def test_secrets_are_made_up_by_aws_and_the_database_s_are_rotated() -> None:
    secrets = of_type("base", "AWS::SecretsManager::Secret")
    assert all("GenerateSecretString" in secret and "SecretString" not in secret for secret in secrets.values())
    rotated = {
        rotation["SecretId"]["Ref"] for rotation in of_type("base", "AWS::SecretsManager::RotationSchedule").values()
    }
    # One signs links in mails that were sent, one opens nothing, and two are known to others; the template says more.
    assert set(secrets) - rotated == {"SecretKey", "EdgeKey", "LtiCredentials", "RemoteUserKey"}


def test_the_bucket_is_private_encrypted_and_versioned() -> None:
    (bucket,) = of_type("base", "AWS::S3::Bucket").values()
    assert set(bucket["PublicAccessBlockConfiguration"].values()) == {True}
    assert len(bucket["PublicAccessBlockConfiguration"]) == 4
    assert bucket["VersioningConfiguration"] == {"Status": "Enabled"}
    assert bucket["BucketEncryption"]
    rules = bucket["LifecycleConfiguration"]["Rules"]
    assert {rule["Prefix"] for rule in rules if "ExpirationInDays" in rule} == {
        "uploads/",
        "exports/",
        "reports/",
    }
    (cors,) = bucket["CorsConfiguration"]["CorsRules"]
    assert cors["AllowedOrigins"] == [{"Ref": "SiteOrigin"}]
    (policy,) = of_type("base", "AWS::S3::BucketPolicy").values()
    deny = next(part for part in statements(policy) if part["Effect"] == "Deny")
    assert deny["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}


def sources() -> list[Any]:
    """The SQS event sources as Chalice knows them."""
    return [source for source in app.app.event_sources if hasattr(source, "queue")]


def test_every_queue_has_a_dead_one_and_hides_messages_long_enough() -> None:
    queues = of_type("base", "AWS::SQS::Queue")
    assert all(queue["SqsManagedSseEnabled"] is True for queue in queues.values())
    living = {name: queue for name, queue in queues.items() if not name.endswith("Dead")}
    for queue in living.values():
        dead = queue["RedrivePolicy"]["deadLetterTargetArn"]["Fn::GetAtt"][0]
        assert dead in queues
    served = {name.removesuffix("Queue").lower(): queue for name, queue in living.items()}
    assert len(sources()) == len(served)
    for source in sources():
        queue = served[source.queue.rsplit("-", 1)[1]]
        assert queue["VisibilityTimeout"] >= 6 * FUNCTIONS[source.name]["lambda_timeout"], source.name
    (subscription,) = (each for each in of_type("base", "AWS::SNS::Subscription").values() if each["Protocol"] == "sqs")
    assert subscription["RedrivePolicy"]["deadLetterTargetArn"]["Fn::GetAtt"][0] == "EventsDead"


def test_mail_events_are_believed_from_our_topic_only() -> None:
    (queue,) = of_type("base", "AWS::SQS::QueuePolicy").values()
    (topic,) = of_type("base", "AWS::SNS::TopicPolicy").values()
    (from_topic,), (from_ses,) = statements(queue), statements(topic)
    assert from_topic["Condition"] == {"ArnEquals": {"aws:SourceArn": {"Ref": "EventsTopic"}}}
    assert set(from_ses["Condition"]) == {"StringEquals", "ArnEquals"}
    (destination,) = of_type("base", "AWS::SES::ConfigurationSetEventDestination").values()
    kinds = {"SEND", "REJECT", "BOUNCE", "COMPLAINT", "DELIVERY", "RENDERING_FAILURE", "DELIVERY_DELAY"}
    assert set(destination["EventDestination"]["MatchingEventTypes"]) == kinds


def test_the_alarm_clock_may_wake_one_function_and_nothing_else() -> None:
    (role,) = of_type("base", "AWS::IAM::Role").values()
    trust, right = statements(role)
    assert trust["Condition"]["ArnEquals"]
    assert right["Action"] == "lambda:InvokeFunction"
    assert right["Resource"]["Fn::Sub"].endswith(":function:ontask-${Stage}-run_due")


def test_the_operator_is_told_what_goes_wrong() -> None:
    alarms = of_type("base", "AWS::CloudWatch::Alarm")
    assert all(alarm["AlarmActions"] == [{"Ref": "OperatorTopic"}] for alarm in alarms.values())
    watched = {alarm.get("MetricName") for alarm in alarms.values()}
    assert watched >= {
        "5XXError", "Latency", "LatenessSeconds", "ApproximateNumberOfMessagesVisible", "Reputation.BounceRate",
        "Reputation.ComplaintRate", "DatabaseConnections",
    }  # fmt: skip
    assert {"WakeUpsWait", "AlarmsFail"} <= set(alarms)
    ages = [part["MetricStat"]["Metric"] for part in alarms["WakeUpsWait"]["Metrics"] if "MetricStat" in part]
    assert {metric["MetricName"] for metric in ages} == {"ApproximateAgeOfOldestMessage"}
    old = sorted(metric["Dimensions"][0]["Value"]["Fn::GetAtt"][0] for metric in ages)
    assert old == sorted(name for name in of_type("base", "AWS::SQS::Queue") if not name.endswith("Dead"))
    dead = [alarm["Dimensions"][0]["Value"]["Fn::GetAtt"][0] for alarm in alarms.values()
               if alarm.get("MetricName") == "ApproximateNumberOfMessagesVisible"]  # fmt: skip
    assert sorted(dead) == sorted(name for name in of_type("base", "AWS::SQS::Queue") if name.endswith("Dead"))
    (budget,) = of_type("base", "AWS::Budgets::Budget").values()
    assert budget["NotificationsWithSubscribers"]


def test_the_dashboard_and_the_alarms_look_at_metrics_that_are_written() -> None:
    (dashboard,) = of_type("base", "AWS::CloudWatch::Dashboard").values()
    widgets = json.loads(dashboard["DashboardBody"]["Fn::Sub"])["widgets"]
    assert len(widgets) == 6
    ours: set[str] = set()
    for lines in (widget["properties"]["metrics"] for widget in widgets):
        namespace = ""
        for line in lines:
            namespace = line[0] if line[0] not in {".", "..."} else namespace
            ours |= {line[1]} if namespace == metrics.NAMESPACE else set()
    for alarm in of_type("base", "AWS::CloudWatch::Alarm").values():
        if alarm.get("Namespace") == metrics.NAMESPACE:
            assert alarm["Dimensions"][0]["Name"] == metrics.DIMENSION
            ours.add(alarm["MetricName"])
    assert len(ours) > 4
    assert ours <= {metric.name for metric in metrics.ALL}


def test_every_function_s_log_is_there_before_it_and_ends() -> None:
    groups = {group["LogGroupName"]["Fn::Sub"]: group["RetentionInDays"]
              for group in of_type("base", "AWS::Logs::LogGroup").values()}  # fmt: skip
    # The API's function is called by app and stage alone; Chalice's own setting would make another group for it.
    wanted = {"/aws/lambda/ontask-${Stage}" + ("" if name == "api_handler" else f"-{name}") for name in FUNCTIONS}
    assert wanted | {"/aws/lambda/ontask-${Stage}-rotation"} == set(groups)
    assert set(groups.values()) == {90}


@pytest.mark.parametrize("stage", STAGES)
def test_all_functions_at_once_find_a_connection(stage: str) -> None:
    own = CONFIG["stages"][stage]["lambda_functions"]
    assert set(own) == set(FUNCTIONS), "a function without a limit could take them all"
    at_once = sum(function["reserved_concurrency"] for function in own.values())
    # One connection each (the pool's size in the cloud), one for the rotation of the password, one for the operator.
    smallest = template("base")["Parameters"]["MaxCapacity"]["MinValue"]
    assert at_once + 2 < min(CONNECTIONS[smallest], 2000)
    (alarm,) = (each for each in of_type("base", "AWS::CloudWatch::Alarm").values()
                if each.get("MetricName") == "DatabaseConnections")  # fmt: skip
    assert at_once + 2 < alarm["Threshold"] < CONNECTIONS[smallest]
    for source in sources():
        assert source.maximum_concurrency <= own[source.name]["reserved_concurrency"], "the rest would be throttled"


def test_the_configuration_names_every_function_of_the_app() -> None:
    pure = {function.name for function in app.app.pure_lambda_functions}
    events = {source.name for source in app.app.event_sources}
    assert set(FUNCTIONS) == {"api_handler"} | pure | events
    assert CONFIG["autogen_policy"] is False
    assert CONFIG["api_gateway_endpoint_type"] == "REGIONAL"
    assert CONFIG["minimum_compression_size"] == 1000
    assert CONFIG["xray"] is False
    assert FUNCTIONS["api_handler"]["lambda_timeout"] <= 29
    assert all(function["lambda_timeout"] <= 900 for function in FUNCTIONS.values())


def environment_of(stage: str) -> set[str]:
    """The names of the variables that functions of the stage get."""
    outputs = {setting_of(name) for name in template("base")["Outputs"]} - {None}
    return outputs | set(CONFIG["environment_variables"]) | set(CONFIG["stages"][stage]["environment_variables"])


def test_functions_are_told_where_everything_is_but_no_secret() -> None:
    for stage in STAGES:
        names = environment_of(stage) | {"BASE_URL"}
        assert not {"SECRET_KEY"} & names
        assert {"SECRET_KEY_SECRET", "DATABASE_SECRET", "DATABASE_URL", "DATABASE_CA"} <= names
    assert "password" not in json.dumps(template("base")["Outputs"]).lower()
    known = {field.name.upper() for field in fields(Settings)}
    assert environment_of("dev") <= known
    # A default that names something of one machine or of an example is none for the cloud.
    stand_ins = {
        field.name.upper()
        for field in fields(Settings)
        if isinstance(field.default, str)
        and re.search(r"^ontask|127\.0\.0\.1|123456789012|ontask\.example|^local$", field.default)
    }
    assert len(stand_ins) > 10
    assert stand_ins <= environment_of("dev") | {"BASE_URL"}


def test_pages_come_from_the_api_and_static_files_from_the_bucket() -> None:
    (site,) = of_type("edge", "AWS::CloudFront::Distribution").values()
    config = site["DistributionConfig"]
    assert config["DefaultCacheBehavior"]["TargetOriginId"] == "api"
    assert config["DefaultCacheBehavior"]["ViewerProtocolPolicy"] == "redirect-to-https"
    (static,) = config["CacheBehaviors"]
    assert (static["PathPattern"], static["TargetOriginId"]) == ("/static/*", "files")
    origins = {origin["Id"]: origin for origin in config["Origins"]}
    assert origins["api"]["CustomOriginConfig"]["OriginProtocolPolicy"] == "https-only"
    assert origins["files"]["OriginAccessControlId"]


def test_both_stacks_and_the_api_stay_below_aws_s_limits() -> None:
    nodes = {
        "/".join(path.split("/")[:depth]) for path in app.app.routes for depth in range(1, len(path.split("/")) + 1)
    }
    assert len(nodes) <= 300
    assert all(len(template(name)["Resources"]) <= 300 for name in ("base", "edge"))


def policies() -> list[tuple[str, dict[str, Any]]]:
    """Every function's policy file."""
    paths = sorted((ROOT / "infrastructure" / "policies").glob("*.json"))
    return [(path.stem, json.loads(path.read_text())) for path in paths]


@pytest.mark.parametrize(("function", "policy"), policies(), ids=[name for name, _ in policies()])
def test_no_policy_says_everything_without_a_reason(function: str, policy: dict[str, Any]) -> None:
    assert len(policy["Statement"]) == len({part["Sid"] for part in policy["Statement"]})
    for part in policy["Statement"]:
        assert not any("*" in action for action in as_list(part["Action"]))
        for resource in as_list(part["Resource"]):
            if "*" in resource and not re.search(NARROW, resource):
                assert len(part.get("Reason", "")) > 20, f"{function}: {resource}"


def test_no_statement_of_the_templates_says_everything_without_a_reason() -> None:
    for name in ("base", "edge"):
        for logical, resource in template(name)["Resources"].items():
            for part in statements(resource):
                if "*" in json.dumps([part["Action"], part.get("Principal")]) or part.get("Resource") == "*":
                    assert {part.get("Sid"), logical} & set(STARS), f"{logical}: {part}"
