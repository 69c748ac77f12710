"""What Chalice can't set or overwrites each time: partly failed batches, the gateway's own error pages, the address."""

from __future__ import annotations

from typing import Any

from infrastructure.deploy import error_pages, state
from infrastructure.deploy.cloud import Cloud


def report_failures_one_by_one(cloud: Cloud) -> None:
    """Have every event source take back only the messages that failed; without it SQS deletes them with the others."""
    wanted = ["ReportBatchItemFailures"]
    for source in state.event_sources(cloud):
        if source.get("FunctionResponseTypes") != wanted:
            cloud.client("lambda").update_event_source_mapping(UUID=source["UUID"], FunctionResponseTypes=wanted)


def give_error_pages(cloud: Cloud, api: str) -> None:
    """Replace the gateway's JSON by pages for people, and publish them."""
    gateway = cloud.client("apigateway")
    for kind, (status, title, advice) in error_pages.PAGES.items():
        gateway.put_gateway_response(
            restApiId=api,
            responseType=kind,
            **({"statusCode": str(status)} if status else {}),
            responseParameters={"gatewayresponse.header.Cache-Control": "'no-store'"},
            responseTemplates={
                "text/html": error_pages.page(title, advice),
                "application/json": error_pages.line(title, advice),
            },
        )
    gateway.create_deployment(restApiId=api, stageName=cloud.stage, description="Error pages")


def tell_address(cloud: Cloud, base_url: str) -> int:
    """Tell every function the product's public address; return how many did not know it."""
    lambdas = cloud.client("lambda")
    told = 0
    for function in state.functions():
        name = state.function_name(cloud, function)
        variables: dict[str, Any] = lambdas.get_function_configuration(FunctionName=name)["Environment"]["Variables"]
        if variables.get("BASE_URL") != base_url:
            lambdas.update_function_configuration(
                FunctionName=name, Environment={"Variables": {**variables, "BASE_URL": base_url}}
            )
            lambdas.get_waiter("function_updated_v2").wait(FunctionName=name)
            told += 1
    return told
