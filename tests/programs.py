"""A program that talks to the interface, through API Gateway's events."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from sqlalchemy.orm import Session

from chalicelib.accounts import tokens
from chalicelib.accounts.models import User
from local.gateway import Gateway


@dataclass
class Answer:
    """What came back."""

    status: int
    headers: dict[str, str]
    text: str

    @property
    def json(self) -> Any:
        """The body, taken apart."""
        return json.loads(self.text)

    def problems(self) -> dict[str, str]:
        """What is wrong, by field."""
        return {one["field"]: one["detail"] for one in self.json.get("errors", [])}


class Program:
    """Shows its token with each request; without one it shows nothing."""

    def __init__(self, token: str = "") -> None:
        from app import app

        self._gateway = Gateway(app)
        self.headers = {"authorization": f"Token {token}"} if token else {}

    def send(self, method: str, path: str, body: Any = None, **headers: str) -> Answer:
        """Send JSON, or text as it is; names of headers are written with underscores."""
        sent = {"content-type": "application/json", **self.headers}
        sent |= {name.replace("_", "-"): value for name, value in headers.items()}
        raw = body if isinstance(body, str) else "" if body is None else json.dumps(body)
        lists = {name: [value] for name, value in sent.items()}
        status, pairs, answered = self._gateway.handle(method, path, lists, raw.encode())
        return Answer(status, dict(pairs), answered.decode())

    def get(self, path: str, **headers: str) -> Answer:
        """GET an address."""
        return self.send("GET", path, **headers)


def program(session: Session, user: User, scope: str = "write") -> Program:
    """A program of the user's."""
    token = tokens.make(session, user, "A program", scope, 30)
    session.flush()
    return Program(token)
