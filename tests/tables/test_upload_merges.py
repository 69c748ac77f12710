"""What becomes of rows and cells when a file is added to a table that is there already."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select, text
from sqlalchemy.orm import Session

from chalicelib import errors
from chalicelib.accounts.models import User
from chalicelib.audit.models import Event
from chalicelib.tables import queries, store
from chalicelib.tables.history import versions
from chalicelib.tables.models import Column
from chalicelib.tables.uploads import service
from chalicelib.workflows import attributes
from chalicelib.workflows.attributes import AttributeForm
from chalicelib.workflows.models import Workflow
from tests.factories import make_action, make_condition

Rows = list[tuple[Any, ...]]
EXISTING = "k,v\n1,a\n2,b\n3,c\n4,b\n"
NEW = "k,v,w\n3,z,1\n4,,2\n5,y,3\n"


@pytest.fixture
def add(session: Session, user: User, workflow: Workflow, tmp_path: Path) -> Callable[..., dict[str, Any]]:
    """Import a file with the given keys and choices; return what came of it."""

    def work(content: str, keys: tuple[str, ...] = ("k",), **choices: Any) -> dict[str, Any]:
        path = tmp_path / "new.csv"
        path.write_text(content)
        return service.import_file(session, workflow, user.id, path, keys=keys, choices=choices)

    return work


@pytest.fixture
def rows(session: Session, workflow: Workflow) -> Callable[[], Rows]:
    """The table's rows in their order."""

    def shown() -> Rows:
        columns = ", ".join(f"c{column.id}" for column in queries.columns(session, workflow.id))
        found = session.execute(text(f"SELECT {columns} FROM learners.w{workflow.id} ORDER BY row_id"))
        return [tuple(row) for row in found]

    return shown


def by_name(session: Session, workflow: Workflow, name: str) -> Column:
    return next(column for column in queries.columns(session, workflow.id) if column.name == name)


LEFT = [(1, "a", None), (2, "b", None), (3, "z", 1), (4, "b", 2)]


@pytest.mark.parametrize(
    ("method", "expected"),
    [
        ("inner", [(3, "z", 1), (4, "b", 2)]),
        ("left", LEFT),
        ("right", [(3, "z", 1), (4, "b", 2), (5, "y", 3)]),
        ("outer", [*LEFT, (5, "y", 3)]),
    ],
)
def test_the_four_ways_to_choose_rows(
    add: Callable[..., Any], rows: Callable[[], Rows], workflow: Workflow, method: str, expected: Rows
) -> None:
    add(EXISTING)
    add(NEW, rows=method)
    assert rows() == expected
    assert workflow.row_count == len(expected)


@pytest.mark.parametrize(
    ("wins", "value_of_3", "value_of_4"), [("keep", "z", "b"), ("erase", "z", None), ("fill", "c", "b")]
)
def test_who_wins(
    add: Callable[..., Any], rows: Callable[[], Rows], wins: str, value_of_3: str, value_of_4: str | None
) -> None:
    add(EXISTING)
    add(NEW, wins=wins)
    values = {row[0]: row[1] for row in rows()}
    assert (values[3], values[4], values[1], values[5]) == (value_of_3, value_of_4, "a", "y")


def test_learners_keep_their_row_ids_and_no_id_is_used_twice(
    add: Callable[..., Any], session: Session, workflow: Workflow
) -> None:
    def ids() -> dict[int, int]:
        key = by_name(session, workflow, "k").id
        found = session.execute(text(f"SELECT c{key}, row_id FROM learners.w{workflow.id}")).all()
        return {row[0]: row[1] for row in found}

    add(EXISTING)
    first = ids()
    add(NEW, rows="right")
    second = ids()
    assert (second[3], second[4]) == (first[3], first[4])
    assert second[5] > max(first.values())
    add("k,v\n6,q\n1,a\n", rows="outer")
    assert min(ids()[6], ids()[1]) > max(second.values())
    name = store.table(workflow.id)
    session.execute(text(f"INSERT INTO {name} (c{by_name(session, workflow, 'k').id}) VALUES (99)"))
    assert ids()[99] > max(ids()[6], ids()[1])


def test_the_summary_counts_what_happens(add: Callable[..., Any]) -> None:
    add(EXISTING)
    result = add(NEW, rows="right")
    told = {name: result[name] for name in ("new", "matched", "dropped", "cells", "rows")}
    assert told == {"new": 1, "matched": 2, "dropped": 2, "cells": 1, "rows": 3}


def test_keys_of_different_names_are_one_key(
    add: Callable[..., Any], rows: Callable[[], Rows], session: Session, workflow: Workflow
) -> None:
    add(EXISTING)
    key = by_name(session, workflow, "k")
    add("student,v\n3,z\n9,new\n", keys=("student",), key_number=1, key_column=key.id)
    assert rows() == [(1, "a"), (2, "b"), (3, "z"), (4, "b"), (9, "new")]
    assert [column.name for column in queries.columns(session, workflow.id)] == ["k", "v"]


@pytest.mark.parametrize(
    ("existing", "new"),
    [
        ("k,v\n00123,a\n00124,b\n", "k,w\n00124,1\n"),
        ("k,v\n123,a\n124,b\n", "k,w\n124.0,1\n"),
        ("k,v\n123,a\nx124,b\n", "k,w\n123,1\n"),
        ("k,v\n123,a\n124,b\n", 'k,w\n" 124 ",1\n'),
    ],
)
def test_keys_match_although_they_are_written_otherwise(
    add: Callable[..., Any], rows: Callable[[], Rows], existing: str, new: str
) -> None:
    add(existing)
    assert add(new)["matched"] == 1
    assert len(rows()) == 2


def test_a_text_key_meets_numbers_as_text(add: Callable[..., Any], rows: Callable[[], Rows]) -> None:
    add("k,v\n7,a\n00124,b\n")
    assert add("k,w\n7,1\n8,2\n")["matched"] == 1
    assert [row[0] for row in rows()] == ["7", "00124", "8"]


def test_a_key_that_does_not_fit_is_refused_with_an_example(add: Callable[..., Any]) -> None:
    add(EXISTING)
    with pytest.raises(errors.Invalid) as refused:
        add("k,v\nfive,x\n")
    assert "none, such as “five” in row 1" in next(iter(refused.value.fields.values()))


def test_a_learner_who_is_twice_in_the_file_is_refused(add: Callable[..., Any], rows: Callable[[], Rows]) -> None:
    add(EXISTING)
    with pytest.raises(errors.Invalid, match="“3” 2 times"):
        add("k,v\n3,x\n3,y\n", keys=("v",), key_number=1)
    assert len(rows()) == 4


def test_rows_without_a_key_are_left_out(add: Callable[..., Any], rows: Callable[[], Rows]) -> None:
    add(EXISTING)
    assert add("k,v\n3,x\n,y\n,z\n", key_number=1)["new"] == 0
    assert len(rows()) == 4


def test_whole_numbers_become_decimals_when_the_file_has_some(
    add: Callable[..., Any], rows: Callable[[], Rows], session: Session, workflow: Workflow
) -> None:
    add("k,mark\n1,5\n2,6\n")
    add("k,mark\n2,6.5\n3,\n")
    assert rows() == [(1, 5.0), (2, 6.5), (3, None)]
    assert by_name(session, workflow, "mark").type == "double"


def test_whole_numbers_are_valid_decimals(add: Callable[..., Any], rows: Callable[[], Rows]) -> None:
    add("k,mark\n1,5.5\n2,6\n")
    add("k,mark\n1,7\n2,8\n")
    assert rows() == [(1, 7.0), (2, 8.0)]


def test_numbers_become_text_in_a_text_column(add: Callable[..., Any], rows: Callable[[], Rows]) -> None:
    add("k,room\n1,A1\n2,B2\n")
    add("k,room\n1,007\n2,1.50\n")
    assert rows() == [(1, "007"), (2, "1.50")]


def test_an_empty_column_changes_no_type(
    add: Callable[..., Any], rows: Callable[[], Rows], session: Session, workflow: Workflow
) -> None:
    add("k,ok,seen,n\n1,true,2026-01-01,5\n")
    add("k,ok,seen,n\n1,,,\n2,,,\n")
    assert [column.type for column in queries.columns(session, workflow.id)] == [
        "integer", "boolean", "datetime", "integer",
    ]  # fmt: skip
    assert rows()[0][1:] != (None, None, None)


def test_values_of_another_type_are_refused_naming_the_column(add: Callable[..., Any]) -> None:
    add("k,ok\n1,true\n2,false\n")
    with pytest.raises(errors.Invalid) as refused:
        add("k,ok\n1,maybe\n")
    assert "“ok” holds values of the type yes/no" in next(iter(refused.value.fields.values()))


def test_a_list_of_allowed_values_is_kept(add: Callable[..., Any], session: Session, workflow: Workflow) -> None:
    add("k,grade\n1,A\n2,B\n")
    by_name(session, workflow, "grade").allowed_values = ["A", "B", "C"]
    session.flush()
    add("k,grade\n1,C\n")
    told = "“grade” takes certain values only; 1 of the file are none of them: “D”. It takes “A”, “B”, “C”."
    with pytest.raises(errors.Invalid, match=told):
        add("k,grade\n1,D\n")


def test_an_accent_beside_its_letter_makes_no_other_learner(add: Callable[..., Any], rows: Callable[[], Rows]) -> None:
    add("k,v\nJos\u00e9,1\n\uac00,2\n")
    result = add("k,v\nJose\u0301,3\n\u1100\u1161,4\n", how="outer")
    assert (result["matched"], result["new"]) == (2, 0)
    assert rows() == [("Jos\u00e9", 3), ("\uac00", 4)]


def test_a_new_column_takes_no_name_that_texts_know_already(
    add: Callable[..., Any], session: Session, user: User, workflow: Workflow
) -> None:
    attributes.add(session, user.id, workflow, AttributeForm("semester", "S1"))
    told = "An attribute of the workflow has this name; choose another one."
    with pytest.raises(errors.Invalid) as refused:
        add("k,semester\n1,2\n")
    assert refused.value.fields == {"name-2": told}
    add("k,v\n1,2\n")
    logged = session.scalars(select(Event.detail).where(Event.type == "data_uploaded")).one()
    assert (logged["types"], logged["keys"]) == ({"k": "integer", "v": "integer"}, ["k"])
    make_condition(session, make_action(session, workflow, "<p>Hi</p>"), "low", {"all": []})
    with pytest.raises(errors.Invalid) as refused:
        add("k,v,semester,low\n1,2,3,4\n")
    assert refused.value.fields == {
        "name-3": told, "name-4": "A condition of the message “Reminder” has this name; choose another one.",
    }  # fmt: skip


def test_another_key_stays_unique_or_is_no_key_any_more(
    add: Callable[..., Any], session: Session, workflow: Workflow
) -> None:
    add("k,email\n1,a@x.example\n2,b@x.example\n", keys=("k", "email"))
    email = by_name(session, workflow, "email")
    with pytest.raises(errors.Invalid, match="“email” could no longer tell learners apart: 1 learner would share"):
        add("k,email\n2,a@x.example\n")
    with pytest.raises(errors.Invalid, match="1 learner would have no value in it"):
        add("k,mark\n3,5\n")
    add("k,mark\n3,5\n", unmark=[email.id])
    assert by_name(session, workflow, "email").is_key is False


def test_no_learner_left_is_refused(add: Callable[..., Any]) -> None:
    add(EXISTING)
    with pytest.raises(errors.Invalid, match="No learner would be left"):
        add("k,v\n77,x\n", rows="inner")


def test_replacing_keeps_what_has_the_same_name_and_drops_the_rest(
    add: Callable[..., Any], rows: Callable[[], Rows], session: Session, workflow: Workflow
) -> None:
    add("k,v,old\n1,a,x\n2,b,y\n")
    v = by_name(session, workflow, "v").id
    result = add("k,new,v\n2,5,7\n3,6,8\n", method="replace")
    assert result["dropped"] == 1
    assert [column.name for column in queries.columns(session, workflow.id)] == ["k", "v", "new"]
    assert by_name(session, workflow, "v").id == v
    assert by_name(session, workflow, "v").type == "integer"
    assert rows() == [(2, 7, 5), (3, 8, 6)]


def test_replacing_without_a_common_key_makes_all_learners_new(
    add: Callable[..., Any], rows: Callable[[], Rows], session: Session, workflow: Workflow
) -> None:
    add(EXISTING)
    add("id,points\n1,2\n7,8\n", keys=("id",), method="replace")
    assert rows() == [(1, 2), (7, 8)]
    assert [(c.name, c.is_key) for c in queries.columns(session, workflow.id)] == [("id", True), ("points", False)]


def test_a_column_can_be_left_out_or_go_to_another(
    add: Callable[..., Any], rows: Callable[[], Rows], session: Session, workflow: Workflow
) -> None:
    add(EXISTING)
    v = by_name(session, workflow, "v").id
    add("k,letter,junk\n1,q,0\n", targets={"2": v, "3": -1})
    assert rows()[0] == (1, "q")


def test_columns_are_taken_for_the_same_whatever_the_case(add: Callable[..., Any], rows: Callable[[], Rows]) -> None:
    add(EXISTING)
    add("K,V\n1,q\n", keys=("K",))
    assert rows()[0] == (1, "q")


def test_five_earlier_tables_are_kept(add: Callable[..., Any], session: Session, workflow: Workflow) -> None:
    add(EXISTING)
    for number in range(8):
        add(f"k,v\n1,{number}\n")
    kept = versions.listed(session, workflow.id)
    assert len(kept) == 5
    tables = session.scalars(text("SELECT tablename FROM pg_tables WHERE schemaname = 'learners'")).all()
    assert sorted(tables) == sorted([f"w{workflow.id}", *(f"v{version.id}" for version in kept)])


def test_an_earlier_table_comes_back_with_its_columns(
    add: Callable[..., Any], rows: Callable[[], Rows], session: Session, workflow: Workflow, user: User
) -> None:
    add("k,mark\n1,5\n2,6\n")
    before, columns = rows(), [(c.id, c.name, c.type) for c in queries.columns(session, workflow.id)]
    result = add("k,mark,extra\n2,6.5,x\n3,7.5,y\n")
    by_name(session, workflow, "mark").name = "points"
    session.flush()
    after = rows()
    undone = versions.restore(session, workflow, result["version"], user.id)
    assert (rows(), workflow.row_count) == (before, 2)
    assert [(c.id, c.name, c.type) for c in queries.columns(session, workflow.id)] == columns
    versions.restore(session, workflow, undone.id, user.id)
    assert (rows(), workflow.row_count) == (after, 3)
    assert by_name(session, workflow, "points").type == "double"
    with pytest.raises(errors.NotFound):
        versions.restore(session, workflow, undone.id, user.id)


def test_everything_of_a_workflow_can_be_dropped(add: Callable[..., Any], session: Session, workflow: Workflow) -> None:
    add(EXISTING)
    add(NEW)
    store.drop_workflow(session, workflow.id)
    assert session.scalar(text("SELECT count(*) FROM pg_tables WHERE schemaname = 'learners'")) == 0
