"""The one-machine gateway answers as API Gateway and Lambda would."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from chalice import Chalice, Response

from local import gateway as module
from local.gateway import Gateway


@pytest.fixture
def gateway() -> Gateway:
    app = Chalice("tests")
    app.api.binary_types = ["image/png"]

    @app.route("/echo/{name}", methods=["GET", "POST"], content_types=["application/json", "text/plain"])
    def echo(name: str) -> dict[str, Any]:
        request = app.current_request
        return {
            "name": name,
            "body": (request.raw_body or b"").decode(),
            "address": request.context["identity"]["sourceIp"],
        }

    @app.route("/echo/fixed")
    def fixed() -> dict[str, str]:
        return {"name": "the fixed one"}

    @app.route("/files/{proxy+}")
    def files() -> Response:
        return Response(app.current_request.uri_params["proxy"], headers={"Content-Type": "text/plain"})

    @app.route("/picture")
    def picture() -> Response:
        return Response(b"\x89PNG", headers={"Content-Type": "image/png"})

    @app.route("/cookies")
    def cookies() -> Response:
        return Response("", headers={"Set-Cookie": ["a=1", "b=2"]})

    @app.route("/large")
    def large() -> Response:
        return Response("x" * (6 * 1024 * 1024 + 1), headers={"Content-Type": "text/plain"})

    return Gateway(app)


def test_a_path_parameter_stays_percent_encoded(gateway: Gateway) -> None:
    status, _, body = gateway.handle("GET", "/echo/a%2Fb", {"accept": ["*/*"]})
    assert (status, json.loads(body)["name"]) == (200, "a%2Fb")


def test_a_fixed_path_wins_over_a_parameter(gateway: Gateway) -> None:
    assert json.loads(gateway.handle("GET", "/echo/fixed", {})[2])["name"] == "the fixed one"


def test_a_greedy_path_takes_the_rest(gateway: Gateway) -> None:
    assert gateway.handle("GET", "/files/a/b/c.css", {})[2] == b"a/b/c.css"


@pytest.mark.parametrize(("method", "path"), [("GET", "/nothing"), ("DELETE", "/echo/x")])
def test_unknown_paths_and_methods_are_answered_by_the_gateway(gateway: Gateway, method: str, path: str) -> None:
    status, _, body = gateway.handle(method, path, {})
    assert status == 404
    assert "There is no such page" in json.loads(body)["message"]
    assert b"<h1>There is no such page</h1>" in gateway.handle(method, path, {"Accept": ["text/html,*/*"]})[2]


def test_pictures_arrive_as_bytes(gateway: Gateway) -> None:
    assert gateway.handle("GET", "/picture", {"accept": ["image/png"]})[2] == b"\x89PNG"


def test_several_cookies_arrive_as_several_headers(gateway: Gateway) -> None:
    pairs = gateway.handle("GET", "/cookies", {})[1]
    assert [value for name, value in pairs if name == "Set-Cookie"] == ["a=1", "b=2"]


def test_requests_over_10_mb_are_refused(gateway: Gateway) -> None:
    body = b"x" * (10 * 1024 * 1024 + 1)
    assert gateway.handle("POST", "/echo/x", {"content-type": ["text/plain"]}, body)[0] == 413


def test_requests_that_lambda_would_not_take_are_refused(gateway: Gateway) -> None:
    body = b"x" * (6 * 1024 * 1024 + 1)
    assert gateway.handle("POST", "/echo/x", {"content-type": ["text/plain"]}, body)[0] == 413


def test_answers_over_6_mb_fail_as_in_lambda(gateway: Gateway) -> None:
    assert gateway.handle("GET", "/large", {})[0] == 502


def test_answers_after_29_seconds_are_not_waited_for(gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "TIME_LIMIT_SECONDS", -1.0)
    assert gateway.handle("GET", "/picture", {})[0] == 504


def test_the_event_is_that_of_a_rest_proxy() -> None:
    app = Chalice("tests")
    app.api.binary_types = ["image/png"]
    event = module._event(
        app,
        "POST",
        "/a%20b",
        "q=1&q=2&empty=",
        "/{x}",
        {"x": "a%20b"},
        {"Content-Type": ["image/png"]},
        b"\x00",
        "10.0.0.1",
    )
    assert event["queryStringParameters"] == {"q": "2", "empty": ""}
    assert event["multiValueQueryStringParameters"] == {"q": ["1", "2"], "empty": [""]}
    assert event["path"] == "/a b"
    assert event["isBase64Encoded"] is True
    assert base64.b64decode(event["body"]) == b"\x00"
    assert event["requestContext"]["identity"]["sourceIp"] == "10.0.0.1"
