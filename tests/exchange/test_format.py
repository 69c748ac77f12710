"""Our own format: what goes out comes back the same, and a file that was tampered with is refused by name."""

from __future__ import annotations

import csv
import io
import json
import zipfile
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from sqlalchemy import text as sql
from sqlalchemy.orm import Session

from chalicelib import clock, errors
from chalicelib.actions.models import Action
from chalicelib.actions.surveys.models import Question
from chalicelib.delivery.push import tokens
from chalicelib.exchange.document import MESSAGES
from chalicelib.formulas.tree import dump, parse
from chalicelib.tables import queries
from chalicelib.tables.models import Column, View
from chalicelib.workflows import service as workflows
from chalicelib.workflows.models import Attribute, Workflow
from tests.exchange.conftest import Exchange, packed
from tests.factories import make_action, make_condition, make_table

TEXTS = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=12)
NAMES = st.text(st.sampled_from("aB ü.,|{}%=+-@#&<>()👩"), min_size=1, max_size=8).map(lambda text: f"n{text}".strip())
#: Without a zone, as hypothesis wants them.
FIRST, LAST = datetime(1, 1, 2), datetime(9999, 12, 30)  # noqa: DTZ001
VALUES: dict[str, st.SearchStrategy[Any]] = {
    "integer": st.integers(-(2**63), 2**63 - 1),
    "double": st.floats(allow_nan=False),
    "boolean": st.booleans(),
    "datetime": st.datetimes(FIRST, LAST, timezones=st.just(UTC)),
    "text": TEXTS | st.sampled_from(["", "\\.", "\\N", "NULL", '"', "a,b", "a\r\nb", "\n", " ", "00123", "None", "'x"]),
}


@st.composite
def tables(draw: Callable[..., Any]) -> tuple[dict[str, str], list[list[Any]]]:
    names = draw(st.lists(NAMES, min_size=1, max_size=5, unique_by=lambda name: " ".join(name.split())))
    columns = {"key": "text"} | {" ".join(name.split()): draw(st.sampled_from(sorted(VALUES))) for name in names}
    count = draw(st.integers(0, 6))
    rows = [
        [f"k{number}", *(draw(st.none() | VALUES[kind]) for kind in list(columns.values())[1:])]
        for number in range(count)
    ]
    return columns, rows


#: A failing example is told as it was found: shrinking it takes minutes, with a database for each step.
PAGE = settings(
    max_examples=20, deadline=None, phases=[Phase.explicit, Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)  # fmt: skip


def shape(session: Session, workflow: Workflow) -> list[dict[str, Any]]:
    names = ["name", "type", "is_key", "position", "description", "allowed_values", "active_from", "active_until",
             "in_charts"]  # fmt: skip
    return [{name: getattr(column, name) for name in names} for column in queries.columns(session, workflow.id)]


@PAGE
@given(tables(), st.booleans(), st.booleans(), TEXTS, st.text("ab <&", max_size=5))
def test_export_and_import_change_nothing(
    session: Session, exchange: Exchange, table: tuple[dict[str, str], list[list[Any]]], negated: bool, is_and: bool,
    operand: str, words: str,
) -> None:  # fmt: skip
    columns, rows = table
    with session.begin_nested() as savepoint:
        workflow = workflows.create(session, exchange.user.id, "Original")
        ids = make_table(session, workflow, columns, rows)
        first, *_, last = ids.values()
        session.add(Attribute(workflow_id=workflow.id, name="Course name", value=words, created_at=clock.now()))
        session.flush()
        attribute = session.query(Attribute).filter_by(workflow_id=workflow.id).one()
        column = session.get_one(Column, last)
        column.description, column.in_charts = words, negated
        formula: dict[str, Any] = {
            "all" if is_and else "any": [
                {"column": first, "op": "contains", "value": operand or "x"},
                {"any": [{"column": last, "op": "is_not_null"}], **({"not": True} if negated else {})},
            ]
        }
        formula = dump(parse(formula))
        now = clock.now()
        view = View(workflow_id=workflow.id, name="V “x”", columns=[last, first], filter=formula, created_at=now,
                    sort=[{"column": last, "descending": negated}], updated_at=now)  # fmt: skip
        session.add(view)
        session.flush()
        action = make_action(session, workflow, name=" ".join(f"M {words}".split()))
        action.filter, action.view_id = formula, view.id
        condition = make_condition(session, action, "is so", formula)
        action.text = f"<p>{{{{ @c{last} }}}} {{% if @k{condition.id} %}}{{{{ @a{attribute.id} }}}}{{% endif %}}</p>"
        action.send_defaults = {"to_column_id": first, "subject": f"{{{{ @c{last} }}}}!", "cc": ["a@b.example"],
                                "opens_column": str(last), "track_opens": negated}  # fmt: skip
        question = {"column": last, "condition": condition.id, "changes_allowed": negated}
        action.kept = {"kind": "survey", "attachments": [view.id], "questions": [question]}
        session.flush()
        path, before = exchange.write(workflow, actions=[action.id])
        twin = exchange.workflow(path, name="Twin")
        (copied,) = session.query(Action).filter_by(workflow_id=twin.id)
        _, after = exchange.write(twin, actions=[copied.id])
        assert after.to_json() | {"workflow": 0} == before.to_json() | {"workflow": 0}
        assert shape(session, twin) == shape(session, workflow)
        assert exchange.rows(twin) == exchange.rows(workflow)
        own = {column.id for column in queries.columns(session, twin.id)}
        assert own.isdisjoint(ids.values())
        assert copied.view_id not in {None, view.id}
        savepoint.rollback()


def test_the_file_can_be_read_without_python_of_ours(session: Session, exchange: Exchange) -> None:
    workflow = workflows.create(session, exchange.user.id, "Größe")
    at = datetime(2026, 3, 2, 10, tzinfo=UTC)
    columns = {"sid": "text", "mark": "double", "passed": "boolean", "at": "datetime"}
    make_table(session, workflow, columns, [("a", 1.5, True, at), ("", None, None, None)])
    path, _ = exchange.write(workflow)
    with zipfile.ZipFile(path) as archive:
        assert sorted(archive.namelist()) == ["README.txt", "table.csv", "workflow.json"]
        table = archive.read("table.csv").decode()
        described = json.loads(archive.read("workflow.json"))
    assert table.splitlines()[1:] == ["a,1.5,true,2026-03-02 10:00:00+00", '"",,,']
    assert next(csv.reader(io.StringIO(table))) == list(columns)
    assert described["format"] == "ontask-workflow"
    assert described["version"] == 1
    assert described["table"] == {"file": "table.csv", "rows": 2}
    assert [column["type"] for column in described["columns"]] == list(columns.values())
    assert not {"owner", "user_id", "created_at"} & set(json.dumps(described).split('"'))


def test_an_export_without_learners_gives_an_empty_table(session: Session, exchange: Exchange) -> None:
    workflow = workflows.create(session, exchange.user.id, "Full")
    make_table(session, workflow, {"sid": "text"}, [("a",)])
    path, _ = exchange.write(workflow, with_learners=False)
    assert exchange.workflow(path, name="Empty").row_count == 0


def tampered(path: Path, change: Callable[[dict[str, Any]], Any], table: str | None = None) -> bytes:
    """The file with another description or table."""
    with zipfile.ZipFile(path) as archive:
        described = json.loads(archive.read("workflow.json"))
        rows = archive.read("table.csv").decode()
    change(described)
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        archive.writestr("workflow.json", json.dumps(described))
        archive.writestr("table.csv", rows if table is None else table)
    return target.getvalue()


@pytest.fixture
def file(session: Session, exchange: Exchange) -> Path:
    """An export with one message."""
    workflow = workflows.create(session, exchange.user.id, "Small")
    ids = make_table(session, workflow, {"sid": "text", "mark": "integer"}, [("a", 1), ("b", 2)])
    action = make_action(session, workflow, f"<p>{{{{ @c{ids['mark']} }}}}</p>")
    make_condition(session, action, "low", {"all": [{"column": ids["mark"], "op": "less", "value": "50"}]})
    path, _ = exchange.write(workflow)
    return path


def put(section: str, **values: Any) -> Callable[[dict[str, Any]], Any]:
    return lambda described: described[section][0].update(values)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda d: d.update(version=2), "has version 2 of the format; this OnTask reads up to 1"),
        (lambda d: d.update(format="x"), "does not say that it is a workflow"),
        (put("columns", type="blob"), "Column “sid” has the unknown type “blob”"),
        (put("columns", name=5), "“name” is not of the right kind"),
        (put("columns", id="1"), "has no number"), (lambda d: d.update(columns={}), "“columns” is no list"),
        (put("columns", active_from="soon"), "“active_from” is no date"),
        (put("actions", text="<p>{{ @c1 </p>"), "its text can’t be read"),
        (put("actions", text="<p>{{ Total }}</p>"), "its text can’t be read"),
        (put("actions", filter={"all": [{"drop": "table"}]}), "This rule set can't be read"),
        (put("actions", send_defaults={"cc": [5]}), "“cc” is not of the right kind"),
        (put("actions", send_defaults={"to_column_id": "x"}), "“to_column_id” is not of the right kind"),
        (put("actions", kept={"questions": [{}]}), "a column is missing"),
        (put("conditions", formula={"all": []}), "uses no column"),
        (put("conditions", action_id=99), "belongs to no message"),
        (lambda d: d["views"].append({"id": 1, "name": "V", "columns": [99], "sort": []}), "shows column 99"),
    ],
)  # fmt: skip
def test_a_description_that_was_tampered_with_is_refused(
    exchange: Exchange, file: Path, change: Callable[[dict[str, Any]], Any], reason: str
) -> None:
    with pytest.raises(errors.Invalid, match=reason):
        exchange.bring(tampered(file, change), name="Other")


@pytest.mark.parametrize(
    ("table", "reason"),
    [
        ("sid,mark\na,many\n", "table.csv, line 2, column “mark”: invalid input syntax for type bigint"),
        ("sid,mark\na\n", "table.csv, line 2"), ("sid,marks\na,1\n", "“mark” is only in one of them"),
        ("mark,sid\n1,a\n", "their order differs"), ("", "The columns of table.csv"),
    ],
)  # fmt: skip
def test_a_table_that_does_not_fit_is_refused_by_line_and_column(
    exchange: Exchange, file: Path, table: str, reason: str
) -> None:
    with pytest.raises(errors.Invalid, match=reason):
        exchange.bring(tampered(file, lambda _: None, table), name="Other")


def test_what_runs_in_a_text_is_taken_out_and_listed(session: Session, exchange: Exchange, file: Path) -> None:
    hostile = put("actions", text="<p onclick='x()'>a<script>alert(1)</script>{{ @c2 }}</p>")
    imported = exchange.bring(tampered(file, hostile), name="Other")
    action = session.query(Action).filter_by(workflow_id=imported.workflow_id).one()
    assert "script" not in action.text
    assert "onclick" not in action.text
    assert any("taken out of its text" in line for line in imported.document["repairs"])


def test_keys_of_other_tables_and_unknown_fields_are_ignored(session: Session, exchange: Exchange, file: Path) -> None:
    smuggled = put("actions", workflow_id=1, deleted_at="2026-01-01", version=99, new_field="x", view_id=77)
    imported = exchange.bring(tampered(file, smuggled), name="Other")
    action = session.query(Action).filter_by(workflow_id=imported.workflow_id).one()
    assert (action.version, action.deleted_at, action.view_id) == (1, None, None)


def test_a_zip_that_grows_without_end_is_stopped(
    exchange: Exchange, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("chalicelib.exchange.package.MAX_TABLE_BYTES", 10)
    with pytest.raises(errors.Limit, match=r"table\.csv is larger"):
        exchange.bring(file.read_bytes(), name="Other")


def test_a_file_that_is_cut_off_is_refused(exchange: Exchange, file: Path) -> None:
    for length in (30, 200, 400):
        with pytest.raises(errors.Invalid):
            exchange.bring(file.read_bytes()[:length], name="Other")


def test_a_gzip_that_grows_without_end_is_stopped(exchange: Exchange, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("chalicelib.exchange.ontask.reader.MAX_UNPACKED_BYTES", 1000)
    with pytest.raises(errors.Limit, match="unpacked"):
        exchange.bring(packed({"columns": ["x" * 5000]}))


def test_messages_alone_take_along_what_they_speak_of(session: Session, exchange: Exchange) -> None:
    workflow = workflows.create(session, exchange.user.id, "Origin")
    ids = make_table(session, workflow, {"sid": "text", "mark": "integer", "other": "text"}, [("a", 1, "x")])
    action = make_action(session, workflow, f"<p>{{{{ @c{ids['mark']} }}}}</p>")
    path, document = exchange.write(workflow, actions=[action.id], kind=MESSAGES)
    assert [column["name"] for column in document.columns] == ["mark"]
    with zipfile.ZipFile(path) as archive:
        assert "table.csv" not in archive.namelist()
    with pytest.raises(errors.Invalid, match="holds messages without a table"):
        exchange.bring(path)
    with pytest.raises(errors.Invalid, match="Tick at least one message"):
        exchange.write(workflow, actions=[], kind=MESSAGES)


def test_nothing_waits_after_an_import(session: Session, exchange: Exchange, file: Path) -> None:
    exchange.bring(file, name="Other")
    waiting = session.scalar(
        sql("SELECT count(*) FROM pg_tables WHERE schemaname = 'learners' AND tablename LIKE 'i%'")
    )
    assert waiting == 0


def test_signs_that_can_not_be_stored_are_left_out(session: Session, exchange: Exchange, file: Path) -> None:
    imported = exchange.bring(tampered(file, put("columns", description="a\0b\ud800")), name="Other")
    assert session.query(Column).filter_by(workflow_id=imported.workflow_id, name="sid").one().description == "ab"


def test_a_description_without_end_in_its_depth_is_refused(exchange: Exchange, file: Path) -> None:
    deep: Any = "x"
    for _ in range(900):
        deep = [deep]
    with pytest.raises(errors.Invalid):
        exchange.bring(tampered(file, lambda described: described.update(columns=deep)), name="Other")


def test_a_workflow_without_a_time_zone_gets_that_of_its_owner(exchange: Exchange, file: Path) -> None:
    exchange.user.time_zone = "Europe/Madrid"
    unknown = tampered(file, lambda described: described["workflow"].update(time_zone="Mars/Base"))
    assert exchange.workflow(unknown, name="Other").time_zone == "Europe/Madrid"


def test_formats_come_along_and_those_that_can_not_be_used_are_left_out(exchange: Exchange, file: Path) -> None:
    formats = {"decimals": 2, "date": "dd/mm/yyyy"}
    good = tampered(file, lambda described: described["workflow"].update(formats=formats))
    brought = exchange.workflow(good, name="Other")
    assert brought.formats == formats
    assert exchange.write(brought)[1].formats == formats
    bad = tampered(file, lambda described: described["workflow"].update(formats={"decimals": "x"}))
    assert exchange.workflow(bad, name="Third").formats == {}


def test_questions_come_back_and_those_that_can_not_be_asked_are_left_out_and_listed(
    session: Session, exchange: Exchange
) -> None:
    workflow = workflows.create(session, exchange.user.id, "Origin")
    ids = make_table(session, workflow, {"sid": "text", "mood": "integer", "came": "boolean"}, [["s1", 3, True]])
    survey = make_action(session, workflow, "", "Weekly", "survey")
    asked = [
        Question(kind="section", text="About you", column_id=None, options={}),
        Question(kind="number", column_id=ids["mood"], options={"min": 1, "max": 5}, is_once=True),
        Question(kind="yes_no", column_id=ids["came"], options={}, help="Any day."),
    ]
    for position, question in enumerate(asked, 1):
        question.action_id, question.position, question.created_at = survey.id, position, clock.now()
    session.add_all(asked)
    session.flush()
    path, document = exchange.write(workflow)
    again = exchange.workflow(path, name="Again")
    assert (
        exchange.write(again, actions=[session.query(Action).filter_by(workflow_id=again.id).one().id])[1].rows[
            "question"
        ]
        == document.rows["question"]
    )

    def spoil(raw: dict[str, Any]) -> Any:
        raw["questions"][0]["kind"] = "nonsense"
        raw["questions"][1] |= {"kind": "yes_no", "options": {"min": [], "choices": "x", "low": "y"}}
        raw["questions"][2]["column_id"] = 99
        raw["questions"].append(raw["questions"][1] | {"id": 9})
        return raw

    imported = exchange.bring(tampered(path, spoil), name="Other")
    (kept,) = (
        session.query(Question)
        .join(Action, Action.id == Question.action_id)
        .filter(Action.workflow_id == imported.workflow_id)
    )
    assert (kept.kind, kept.options) == ("number", {})
    assert sum("was left out" in line for line in imported.document["repairs"]) == 3


def test_json_comes_back_with_where_it_goes_and_without_its_token(session: Session, exchange: Exchange) -> None:
    workflow = workflows.create(session, exchange.user.id, "Feed")
    columns = make_table(session, workflow, {"sid": "text", "quiz": "integer"}, [("s1", 1)])
    source = f'{{"a": "<b>1 < 2", "quiz": {{{{ @c{columns["quiz"]} }}}}}}'
    action = make_action(session, workflow, source, "Feed", "personalised_json")
    action.target = {"url": "https://system.example/", "method": "PUT", "headers": {"X-A": "b"}, "is_form": False}
    tokens.put(session, action.id, "s3cret")
    session.flush()
    path, _ = exchange.write(workflow)
    with zipfile.ZipFile(path) as archive:
        assert "s3cret" not in archive.read("workflow.json").decode()
    made = exchange.workflow(path, name="Feed again")
    copied = session.query(Action).filter_by(workflow_id=made.id).one()
    assert copied.target == action.target
    assert copied.text.startswith('{"a": "<b>1 < 2", "quiz": {{ @c')
    assert tokens.set_at(session, copied.id) is None


def test_a_link_of_a_text_leads_to_the_form_that_came_with_it(
    session: Session, workflow: Workflow, exchange: Exchange
) -> None:
    """Where the form did not come along the link is told to lead nowhere."""
    make_table(session, workflow, {"sid": "text"}, [["s1"]])
    reminder = make_action(session, workflow, "", "Reminder")
    survey = make_action(session, workflow, "", "Weekly", "survey")
    reminder.text = f'<p><a href="{{{{ @m{survey.id} }}}}">Please answer</a></p>'
    session.flush()
    path, document = exchange.write(workflow)
    assert "{{ @m2 }}" in document.rows["action"][0]["text"]
    twin = exchange.workflow(path, name="Twin")
    texts = {one.name: (one.id, one.text) for one in session.query(Action).filter_by(workflow_id=twin.id)}
    assert f"{{{{ @m{texts['Weekly'][0]} }}}}" in texts["Reminder"][1]
    alone, _ = exchange.write(workflow, actions=[reminder.id])
    imported = exchange.bring(alone, name="Alone")
    assert imported.document["repairs"] == ["Message “Reminder” speaks of something that is not in the file any more."]
