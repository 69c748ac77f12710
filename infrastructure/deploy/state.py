"""Chalice's memory of what it has made, kept in the stage's bucket and completed from what is really there.

Chalice writes its file only when a deployment has come to its end. After one that was killed it would make a second API
and refuse to make the queues' event sources again: so what AWS has is added to what the file says.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from infrastructure.deploy.cloud import ROOT, Cloud

KEY = "deploy/chalice.json"

Resource = dict[str, Any]


def functions() -> list[str]:
    """Return the names of all functions, as `.chalice/config.json` has them."""
    return list(json.loads((ROOT / ".chalice" / "config.json").read_text())["lambda_functions"])


def function_name(cloud: Cloud, function: str) -> str:
    """Return the name that Chalice gives to a function: the API's has none of its own."""
    return cloud.app if function == "api_handler" else f"{cloud.app}-{function}"


def path(cloud: Cloud, build: Path) -> Path:
    """Return where Chalice looks for its file."""
    return build / ".chalice" / "deployed" / f"{cloud.stage}.json"


def fetch(cloud: Cloud, build: Path, bucket: str) -> None:
    """Put Chalice's file into the build copy, as the bucket and the account have it."""
    target = path(cloud, build)
    target.parent.mkdir(parents=True, exist_ok=True)
    remembered = read(cloud, bucket)
    names = {each["name"] for each in remembered}
    resources = [*remembered, *(each for each in found(cloud) if each["name"] not in names)]
    if resources:
        target.write_text(json.dumps({"resources": resources, "schema_version": "2.0", "backend": "api"}, indent=2))
    else:
        target.unlink(missing_ok=True)


def read(cloud: Cloud, bucket: str) -> list[Resource]:
    """Return what the bucket's file says, nothing when there is none."""
    s3 = cloud.client("s3")
    try:
        body = s3.get_object(Bucket=bucket, Key=KEY)["Body"].read()
    except (s3.exceptions.NoSuchKey, s3.exceptions.NoSuchBucket):
        return []
    resources: list[Resource] = json.loads(body)["resources"]
    return resources


def put_back(cloud: Cloud, build: Path, bucket: str) -> list[Resource]:
    """Keep Chalice's file in the bucket; return what it says."""
    body = path(cloud, build).read_bytes()
    cloud.client("s3").put_object(Bucket=bucket, Key=KEY, Body=body, ContentType="application/json")
    resources: list[Resource] = json.loads(body)["resources"]
    return resources


def found(cloud: Cloud) -> list[Resource]:
    """Return what the account has of this stage, in Chalice's words and in the order in which it makes things."""
    return [*_functions(cloud), *_event_sources(cloud), *_rules(cloud), *_apis(cloud)]


def _functions(cloud: Cloud) -> list[Resource]:
    lambdas, iam = cloud.client("lambda"), cloud.client("iam")
    resources = []
    for function in functions():
        role = f"{cloud.app}-{function}"
        try:
            arn = iam.get_role(RoleName=role)["Role"]["Arn"]
        except iam.exceptions.NoSuchEntityException:
            pass
        else:
            name = f"{function}_role"
            resources.append({"name": name, "resource_type": "iam_role", "role_name": role, "role_arn": arn})
        try:
            made = lambdas.get_function_configuration(FunctionName=function_name(cloud, function))
        except lambdas.exceptions.ResourceNotFoundException:
            continue
        resources.append({"name": function, "resource_type": "lambda_function", "lambda_arn": made["FunctionArn"]})
    return resources


def event_sources(cloud: Cloud) -> list[dict[str, Any]]:
    """Return what AWS says of the stage's event sources."""
    pages = cloud.client("lambda").get_paginator("list_event_source_mappings").paginate()
    known = {function_name(cloud, function) for function in functions()}
    return [each for page in pages for each in page["EventSourceMappings"] if _function(each) in known]


def _function(source: dict[str, Any]) -> str:
    return str(source["FunctionArn"]).split(":")[6]


def _event_sources(cloud: Cloud) -> list[Resource]:
    return [
        {
            "name": f"{_function(source).removeprefix(cloud.app + '-')}-sqs-event-source",
            "resource_type": "sqs_event", "event_uuid": source["UUID"], "queue_arn": source["EventSourceArn"],
            "queue": source["EventSourceArn"].split(":")[5], "lambda_arn": source["FunctionArn"],
        }
        for source in event_sources(cloud)
    ]  # fmt: skip


def _rules(cloud: Cloud) -> list[Resource]:
    rules = cloud.client("events").list_rules(NamePrefix=f"{cloud.app}-")["Rules"]
    wanted = {f"{cloud.app}-{function}-event" for function in functions()}
    return [
        {
            "name": rule["Name"].removeprefix(f"{cloud.app}-"),
            "resource_type": "cloudwatch_event",
            "rule_name": rule["Name"],
        }
        for rule in rules
        if rule["Name"] in wanted
    ]


def _apis(cloud: Cloud) -> list[Resource]:
    """Return our API: among those called ontask the one whose pages are made by our function."""
    gateway = cloud.client("apigateway")
    mine = f":function:{cloud.app}/invocations"
    for page in gateway.get_paginator("get_rest_apis").paginate():
        for api in page["items"]:
            if api["name"] == "ontask" and mine in _integrations(gateway, api["id"]):
                url = f"https://{api['id']}.execute-api.{cloud.region}.{_suffix(cloud)}/{cloud.stage}/"
                return [
                    {"name": "rest_api", "resource_type": "rest_api", "rest_api_id": api["id"], "rest_api_url": url}
                ]
    return []


def _integrations(gateway: Any, api: str) -> str:
    resources = gateway.get_resources(restApiId=api, embed=["methods"], limit=500)["items"]
    methods = [method for each in resources for method in each.get("resourceMethods", {}).values()]
    return " ".join(str(method.get("methodIntegration", {}).get("uri", "")) for method in methods)


def _suffix(cloud: Cloud) -> str:
    return "amazonaws.com.cn" if cloud.partition == "aws-cn" else "amazonaws.com"
