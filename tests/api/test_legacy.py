"""Programs that were written for OnTask 11: the same addresses, shapes and words."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy.orm import Session

from chalicelib.accounts.models import User
from chalicelib.workflows import service as workflows
from chalicelib.workflows.models import Workflow
from tests.programs import Program

LIST = "/api/v1/workflow/workflows/"


@pytest.fixture
def ops(workflow: Workflow) -> str:
    return f"/api/v1/table/{workflow.id}/ops/"


@pytest.fixture
def merge(api: Program, workflow: Workflow, ops: str) -> str:
    """The path of merges into a table of three rows."""
    sent = {
        "sid": [1, 2, 3], "name": ["Ana", "Bo", "Cy"], "registered": [True, False, None], "age": [20, 20, 21],
        "when": ["2017-10-11 13:33:44", "2017-10-11T13:33:44+09:30", None],
    }  # fmt: skip
    assert api.send("POST", ops, {"data_frame": sent}).status == 201
    return f"/api/v1/table/{workflow.id}/merge/"


def test_workflows_are_made_read_changed_and_deleted(api: Program) -> None:
    made = api.send("POST", LIST, {"name": "Chem 101", "attributes": {"semester": "S1"}})
    assert made.status == 201
    pk = made.json["id"]
    whole = {"id": pk, "name": "Chem 101", "description_text": "", "attributes": {"semester": "S1"}}
    assert made.json == whole
    assert api.get(LIST).json == {"count": 1, "next": None, "previous": None, "results": [whole]}
    rud = f"/api/v1/workflow/{pk}/rud/"
    sent = {"name": "Chem 102", "description_text": "x", "attributes": {"k1": "v1"}}
    assert api.send("PUT", rud, sent).json == {"id": pk, **sent}
    assert api.send("PATCH", rud, {"name": "Chem 103"}).json == {"id": pk, **sent, "name": "Chem 103"}
    answer = api.send("POST", rud, {})
    assert (answer.status, answer.json["detail"]) == (405, 'Method "POST" not allowed.')
    assert api.send("DELETE", rud).status == 204
    assert api.get(rud).status == 404


def test_what_is_wrong_with_a_workflow_is_said_in_the_old_words(api: Program, workflow: Workflow) -> None:
    def refused(body: Any) -> tuple[int, Any]:
        answer = api.send("POST", LIST, body)
        return answer.status, answer.json

    assert refused({}) == (400, {"name": ["This field is required."]})
    assert refused({"name": " "}) == (400, {"name": ["This field may not be blank."]})
    too_long = {"name": ["Ensure this field has no more than 1024 characters."]}
    assert refused({"name": "x" * 1025}) == (400, too_long)
    status, told = refused({"name": workflow.name})
    assert status == 500
    assert "Workflow could not be created." in told["detail"]
    status, told = refused({"name": "New", "attributes": {"k": 1}})
    assert status == 500
    assert told["detail"].endswith("(str, str)")
    form = api.send("POST", LIST, f"name={workflow.name}", content_type="application/x-www-form-urlencoded")
    assert "Workflow could not be created." in form.json["detail"]
    assert api.send("POST", LIST, '{"name"').json["detail"].startswith("JSON parse error - ")
    rud = f"/api/v1/workflow/{workflow.id}/rud/"
    assert api.send("PUT", rud, {"description_text": "x"}).json == {"name": ["This field is required."]}
    assert api.send("PATCH", rud, {"attributes": [1]}).status == 400


def test_lists_are_paged_by_limit_and_offset(session: Session, user: User, api: Program) -> None:
    for number in range(3):
        workflows.create(session, user.id, f"Class {number}")
    page = api.get(f"{LIST}?limit=1&offset=1").json
    base = "http://127.0.0.1:8910" + LIST
    assert (page["count"], page["next"], page["previous"]) == (3, f"{base}?limit=1&offset=2", f"{base}?limit=1")
    assert [one["name"] for one in page["results"]] == ["Class 1"]
    assert len(api.get(f"{LIST}?limit=none&offset=-1").json["results"]) == 3
    assert api.get(f"{LIST}?offset=9").json["results"] == []


def test_a_lock_is_never_held(api: Program, workflow: Workflow) -> None:
    lock = f"/api/v1/workflow/{workflow.id}/lock/"
    assert api.get(lock).json == {"lock": False}
    assert [(one.status, one.text) for one in (api.send("POST", lock), api.send("DELETE", lock))] == [
        (201, ""), (200, ""),
    ]  # fmt: skip


SHAPES: dict[str, Any] = {
    "lists": {"sid": [1, 2], "name": ["Ana", "Bo"]},
    "indexes": {"sid": {"0": 1, "1": 2}, "name": {"0": "Ana", "1": "Bo"}},
    "rows": [{"sid": 1, "name": "Ana"}, {"sid": 2, "name": "Bo"}],
}


@pytest.mark.parametrize("shape", SHAPES)
def test_a_table_of_any_shape_is_taken(api: Program, ops: str, shape: str) -> None:
    assert api.get(ops).json == {"data_frame": None}
    made = api.send("POST", ops, {"data_frame": SHAPES[shape]})
    assert (made.status, made.text) == (201, "")
    assert api.get(ops).json == {"data_frame": SHAPES["indexes"]}


def test_times_and_gaps_come_back_as_pandas_writes_them(api: Program, merge: str, ops: str) -> None:
    told = api.get(ops).json["data_frame"]
    assert told["when"] == {"0": "2017-10-11T13:33:44.000Z", "1": "2017-10-11T04:03:44.000Z", "2": None}
    assert told["registered"] == {"0": True, "1": False, "2": None}
    assert api.get(merge).json == {"how": "", "left_on": "", "right_on": "", "src_df": told}


def test_a_table_is_replaced_and_deleted(api: Program, merge: str, ops: str) -> None:
    answer = api.send("POST", ops, {})
    assert answer.status == 500
    assert "Post request requires workflow without a table" in answer.json["detail"]
    assert api.send("PUT", ops, {"data_frame": {"sid": [7], "mixed": [5]}}).status == 201
    assert api.get(ops).json["data_frame"] == {"sid": {"0": 7}, "mixed": {"0": 5}}
    assert api.send("DELETE", ops).status == 204
    assert api.get(ops).json == {"data_frame": None}


NO_TABLE: dict[str, tuple[Any, Any]] = {
    "nothing": ({}, {"data_frame": ["This field is required."]}),
    "null": ({"data_frame": None}, {"data_frame": ["This field may not be null."]}),
    "ragged": (
        {"data_frame": {"a": [1], "b": [1, 2]}}, {"data_frame": ["Unable to create dataframe with the given data"]},
    ),
    "a number": ({"data_frame": 5}, {"data_frame": ["Unable to create dataframe with the given data"]}),
    "no key": ({"data_frame": {"a": [1, 1]}}, "Error when overriding dataframe"),
}  # fmt: skip


@pytest.mark.parametrize("wrong", NO_TABLE)
def test_what_is_no_table_is_refused_in_the_old_words(api: Program, ops: str, wrong: str) -> None:
    body, expected = NO_TABLE[wrong]
    answer = api.send("PUT", ops, body)
    assert (answer.status, answer.json) == (400, expected)
    assert api.get(ops).json == {"data_frame": None}


def test_columns_of_several_kinds_become_texts(api: Program, ops: str) -> None:
    api.send("PUT", ops, {"data_frame": {"sid": [1, 2], "mixed": [5, "x"]}})
    assert api.get(ops).json["data_frame"]["mixed"] == {"0": "5", "1": "x"}


SENT = {"sid": [1, 2, 4], "newcol": ["v1", "v2", "v3"]}
ROWS = {"inner": ["1", "2"], "outer": ["1", "2", "3", "4"], "left": ["1", "2", "3"], "right": ["1", "2", "4"]}


@pytest.mark.parametrize("how", ROWS)
def test_tables_are_merged(api: Program, merge: str, ops: str, how: str) -> None:
    api_answer = api.send("PUT", merge, {"how": how, "left_on": "sid", "right_on": "sid", "src_df": SENT})
    # The names tell learners apart, too, and a new learner has none.
    if how in {"outer", "right"}:
        assert api_answer.status == 500
        assert "“name” could no longer tell learners apart" in api_answer.json["detail"]
        return
    assert api_answer.status == 201
    assert "detail" not in api_answer.json
    assert api_answer.json["src_df"]["sid"] == {"0": 1, "1": 2, "2": 4}
    told = api.get(ops).json["data_frame"]
    assert [str(value) for value in told["sid"].values()] == ROWS[how]
    assert told["newcol"]["0"] == "v1"


@pytest.mark.parametrize("how", ["outer", "right"])
def test_new_learners_are_merged_in(api: Program, merge: str, ops: str, how: str) -> None:
    sent = {**SENT, "name": ["Ana", "Bo", "Di"]}
    answer = api.send("PUT", merge, {"how": how, "left_on": "sid", "right_on": "sid", "src_df": sent})
    assert answer.status == 201
    told = api.get(ops).json["data_frame"]
    assert [str(value) for value in told["sid"].values()] == ROWS[how]
    assert list(told["registered"].values())[-1] is None


def test_merges_that_can_not_be_are_refused(api: Program, merge: str, ops: str) -> None:
    before = api.get(ops).text

    def refused(**change: Any) -> tuple[int, Any]:
        body = {"how": "inner", "left_on": "sid", "right_on": "sid", "src_df": SENT} | change
        answer = api.send("PUT", merge, body)
        return answer.status, answer.json

    status, told = refused(src_df={"sid": [7, 8], "newcol": ["a", "b"]})
    assert status == 500
    assert "Unable to perform merge operation" in told["detail"]
    assert "Merge operation produced a result with no rows" in told["detail"]
    missing = {"detail": "'Missing key column in table to upload/merge.'"}
    assert refused(src_df={"sid": [1, 1], "x": ["a", "a"]}) == (500, missing)
    for change in ({"how": "sideways"}, {"left_on": "age"}, {"left_on": "x"}, {"right_on": "x"}):
        assert refused(**change)[0] == 500
    assert refused(how="", left_on=5) == (
        400, {"how": ["This field may not be blank."], "left_on": ["Not a valid string."]},
    )  # fmt: skip
    assert api.get(ops).text == before


def test_nothing_is_merged_without_a_table(api: Program, ops: str) -> None:
    answer = api.send("PUT", ops.replace("ops", "merge"), {})
    assert (answer.status, answer.json) == (400, "Merge request requires a workflow with a non-empty table")


def test_pickles_are_refused_with_the_address_to_use(api: Program, ops: str) -> None:
    answer = api.send("PUT", ops.replace("ops", "pops"), {"data_frame": "gASVtgIAAAA="})
    assert answer.status == 400
    assert "Send JSON to the address that ends in ops" in answer.json["detail"]


def test_what_is_not_ones_own_is_not_there(api: Program, ops: str) -> None:
    answer = api.get("/api/v1/table/999999/ops/")
    assert (answer.status, answer.json) == (404, {"detail": "Workflow not found."})
    nobody = Program().get(ops)
    assert nobody.status == 401
    assert nobody.headers["WWW-Authenticate"] == 'Basic realm="api"'
    assert nobody.json == {"detail": "Authentication credentials were not provided."}
