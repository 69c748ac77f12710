"""The description of the interface, OpenAPI 3.1, made from the declarations."""

from __future__ import annotations

import re
from typing import Any

from chalicelib.settings import settings
from chalicelib.web.api import ApiRequest, Declaration, answer, api, declarations
from chalicelib.web.problems import TITLES
from chalicelib.web.responses import Answer

_PROBLEM = {
    "type": "object",
    "required": ["title", "status", "detail", "code", "request_id"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "code": {"type": "string"},
        "request_id": {"type": "string"},
        "errors": {
            "type": "array",
            "items": {
                "type": "object", "properties": {"field": {"type": "string"}, "detail": {"type": "string"}},
            },
        },
    },
}  # fmt: skip


@api("GET", "/api/v2/openapi.json", summary="This description", is_open=True)
def show_description(_request: ApiRequest) -> Answer:
    """Describe the interface to programs that make others."""
    return answer(description())


def description() -> dict[str, Any]:
    """Return the description of all newer addresses."""
    paths: dict[str, Any] = {}
    for one in declarations:
        if not one.is_legacy:
            paths.setdefault(one.path, {})[one.method.lower()] = _operation(one)
    return {
        "openapi": "3.1.0",
        "info": {"title": "OnTask API", "version": "2", "description": "Workflows and their tables, for programs."},
        "servers": [{"url": settings().base_url}],
        "security": [{"token": []}],
        "paths": paths,
        "components": {
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
            "schemas": {"Problem": _PROBLEM},
            "responses": {
                "Problem": {
                    "description": "What went wrong",
                    "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}},
                }
            },
        },
    }


def _operation(one: Declaration) -> dict[str, Any]:
    parameters = [
        {"name": name, "in": "path", "required": True,
         "schema": {"type": "integer" if name.endswith("_id") else "string"}}
        for name in re.findall(r"{(\w+)}", one.path)
    ]  # fmt: skip
    parameters += [
        {"name": name, "in": "query", "description": words, "schema": {"type": "string"}}
        for name, words in one.query.items()
    ]
    made: dict[str, Any] = {
        "operationId": one.view.__name__,
        "summary": one.summary,
        "tags": [one.view.__module__.split(".")[1]],
        "parameters": parameters,
        "responses": {str(status): _answer(one, status) for status in one.statuses},
    }
    made["responses"]["default"] = {"$ref": "#/components/responses/Problem"}
    if one.body is not None:
        made["requestBody"] = {"required": True, "content": {"application/json": {"schema": one.body}}}
    if one.is_open:
        made["security"] = []
    return made


def _answer(one: Declaration, status: int) -> dict[str, Any]:
    words = {200: "Here it is", 201: "Made", 202: "Being done; ask the job in Location", 204: "Done"}
    told: dict[str, Any] = {"description": words.get(status) or TITLES[status]}
    if status != 204:
        content: dict[str, Any] = {"schema": {}}
        if one.example is not None:
            content["example"] = one.example
        told["content"] = {"application/json": content}
    return told
