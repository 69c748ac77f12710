"""What Chalice can't set or overwrites each time: partly failed batches, the gateway's own error pages, the address."""

from __future__ import annotations

import html
from typing import Any

from infrastructure.deploy import state
from infrastructure.deploy.cloud import Cloud

#: Answers of the gateway itself, before any of our code: status and what a person is told.
PAGES = {
    "MISSING_AUTHENTICATION_TOKEN": (404, "There is no such page", "Perhaps the link is incomplete."),
    "RESOURCE_NOT_FOUND": (404, "There is no such page", "Perhaps the link is incomplete."),
    "REQUEST_TOO_LARGE": (
        413,
        "That is too large",
        "At most 10 MB can be sent with a form; upload files on their page.",
    ),
    "UNSUPPORTED_MEDIA_TYPE": (415, "This can't be read", "Please send the form from its page."),
    "THROTTLED": (429, "Too many requests at once", "Please try again in a moment."),
    "QUOTA_EXCEEDED": (429, "Too many requests at once", "Please try again in a moment."),
    "INTEGRATION_TIMEOUT": (504, "This took too long", "Please try again. What you typed is still on the page before."),
    "DEFAULT_4XX": (None, "This can't be done", "Please go back and try again."),
    "DEFAULT_5XX": (None, "Something went wrong", "Please try again in a moment."),
}


def report_failures_one_by_one(cloud: Cloud) -> None:
    """Have every event source take back only the messages that failed; without it SQS deletes them with the others."""
    wanted = ["ReportBatchItemFailures"]
    for source in state.event_sources(cloud):
        if source.get("FunctionResponseTypes") != wanted:
            cloud.client("lambda").update_event_source_mapping(UUID=source["UUID"], FunctionResponseTypes=wanted)


def give_error_pages(cloud: Cloud, api: str) -> None:
    """Replace the gateway's JSON by pages for people, and publish them."""
    gateway = cloud.client("apigateway")
    for kind, (status, title, advice) in PAGES.items():
        gateway.put_gateway_response(
            restApiId=api,
            responseType=kind,
            **({"statusCode": str(status)} if status else {}),
            responseParameters={"gatewayresponse.header.Cache-Control": "'no-store'"},
            responseTemplates={
                "text/html": _page(title, advice),
                "application/json": '{"message": "' + title + ". " + advice + '"}',
            },
        )
    gateway.create_deployment(restApiId=api, stageName=cloud.stage, description="Error pages")


def _page(title: str, advice: str) -> str:
    title, advice = html.escape(title), html.escape(advice)
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        f"<title>{title} – OnTask</title><h1>{title}</h1><p>{advice}</p></html>"
    )


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
