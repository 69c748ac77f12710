from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy.dialects.postgresql import JSONB

from chalicelib.database import models
from chalicelib.database.base import SCHEMA
from chalicelib.workflows import parts, references
from chalicelib.workflows.references import PARTS

#: Tables that belong to no copy of a workflow: people, logs, what was sent, what is on its way.
NO_PARTS = {
    "user", "session", "launch", "used_once", "one_time_link", "failed_sign_in", "workflow", "member", "learner",
    "dead_letter", "event", "job", "notice_text", "run", "run_draft",
    "message", "mail_event", "lane", "lane_minute", "mail_proof", "opt_out", "suppression", "upload", "table_version",
    "answer", "answer_draft", "api_token", "saved_answer", "push_token",
    "list_choice", "occurrence", "row_change", "schedule", "served_link",
    "text_draft", "text_version",
}  # fmt: skip


def test_every_table_is_a_part_of_workflows_or_known_to_be_none() -> None:
    tables = {table.name for table in models.Base.metadata.tables.values() if table.schema == SCHEMA}
    missing = tables - NO_PARTS - {part.table for part in PARTS}
    assert {name for name in missing if not name.startswith(("import", "exchange", "alembic"))} == set()


@pytest.mark.parametrize("part", PARTS, ids=lambda part: part.table)
def test_every_field_that_may_hold_ids_is_walked(part: references.Part) -> None:
    table = parts.table_of(part)
    told = set(part.holders) | part.others
    silent = [
        column.name for column in table.c
        if column.name not in told and (isinstance(column.type, JSONB) or column.foreign_keys)
    ]  # fmt: skip
    assert silent == []
    assert told <= {column.name for column in table.c}


COLUMNS = st.integers(1, 10**6)
RULES = st.builds(
    lambda column, value: {"column": column, "op": "is_one_of", "value": value},
    COLUMNS,
    st.lists(st.text(), max_size=3),
)
FORMULAS = st.recursive(
    RULES,
    lambda inner: st.builds(
        lambda word, members, negated: {word: members} | ({"not": True} if negated else {}),
        st.sampled_from(["all", "any"]), st.lists(inner, max_size=3), st.booleans(),
    ),
    max_leaves=10,
)  # fmt: skip


def shift(reference: str) -> str:
    return f"{reference[0]}{int(reference[1:]) + 10**7}"


def back(reference: str) -> str:
    return f"{reference[0]}{int(reference[1:]) - 10**7}"


def columns_in(formula: Any) -> set[int]:
    if "column" in formula:
        return {formula["column"]}
    return {
        key for members in formula.values() if isinstance(members, list) for one in members for key in columns_in(one)
    }


@given(formula=FORMULAS)
def test_a_formula_keeps_everything_but_its_columns(formula: Any) -> None:
    row = {"formula": formula}
    made = references.changed("condition", row, shift)
    assert references.found("condition", made) == {f"c{key + 10**7}" for key in columns_in(formula)}
    assert references.changed("condition", made, back) == row


@given(
    st.lists(st.tuples(st.sampled_from("ack"), st.integers(1, 10**6)), max_size=5),
    st.dictionaries(st.sampled_from(["to_column_id", "opens_column", "subject"]), st.just(0)),
)
def test_texts_and_choices_keep_everything_but_their_references(used: list[tuple[str, int]], which: Any) -> None:
    text = "".join(f"<p>{{{{ @{letter}{key} }}}} and @c1 as words</p>" for letter, key in used)
    values = {"to_column_id": 12, "opens_column": "13", "subject": "Hi {{ @c14 | round: 1 }}"}
    row = {"text": text, "send_defaults": {name: values[name] for name in which} | {"cc": ["c12"]}, "filter": None}
    made = references.changed("action", row, shift)
    assert references.found("action", made) == {shift(one) for one in references.found("action", row)}
    assert made["send_defaults"]["cc"] == ["c12"]
    assert references.changed("action", made, back) == row


@pytest.mark.parametrize("choice", ["", "new"])
def test_a_choice_that_is_no_column_stays(choice: str) -> None:
    row = {"send_defaults": {"opens_column": choice}}
    assert references.changed("action", row, shift) == row
