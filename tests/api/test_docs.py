"""The examples of the documentation work."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

from tests.programs import Answer, Program

TEXT = (Path(__file__).parent.parent.parent / "docs" / "api.md").read_text()
BLOCKS = re.findall(r"```sh\n(.*?)```", TEXT, re.DOTALL)


def commands() -> list[list[str]]:
    """Every call of curl in the text, taken apart as a shell does."""
    joined = "\n".join(BLOCKS).replace("\\\n", " ")
    found = re.split(r"(?m)^(?=curl )", joined)
    return [shlex.split(one) for one in found if one.startswith("curl ")]


def run(command: list[str], api: Program, known: dict[str, str]) -> Answer:
    method, body, address = "GET", None, ""
    words = iter(command[1:])
    for word in words:
        if word == "-X":
            method = next(words)
        elif word == "-d":
            body = next(words)
        elif word == "-H":
            assert next(words) in {"Authorization: Token $TOKEN", "Content-Type: application/json"}
        else:
            address = word
    for name, value in known.items():
        address = address.replace(f"${name}", value)
    return api.send(method, address, body)


def test_the_examples_work_in_their_order(api: Program) -> None:
    known = {"ONTASK": "", "ID": ""}
    found = commands()
    assert len(found) == 9
    for command in found:
        answer = run(command, api, known)
        assert answer.status < 300, (command, answer.text)
        if answer.status == 201 and not known["ID"]:
            known["ID"] = str(answer.json["id"])
    rows = api.get(f"/api/v2/workflows/{known['ID']}/table").json["rows"]
    assert [row["name"] for row in rows] == ["Ada", "Bo"]
    assert rows[0]["seen"] == "2026-03-02T13:30:00+00:00"
