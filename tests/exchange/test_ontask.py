"""Files that OnTask exported: the real ones whole, every layout there was, and what is wrong said by name."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from sqlalchemy.orm import Session

from chalicelib import errors
from chalicelib.actions import queries as actions
from chalicelib.actions.language import ids_to_names
from chalicelib.actions.models import Action
from chalicelib.actions.reports import queries as reports
from chalicelib.actions.rubrics import queries as rubrics
from chalicelib.actions.surveys import queries as surveys
from chalicelib.formulas.words import words
from chalicelib.tables import queries
from chalicelib.tables.models import View
from chalicelib.workflows.models import Attribute, Workflow
from tests.conftest import real_file
from tests.exchange.conftest import Exchange, encoded, packed
from tests.exchange.frames import array, frame, places


def message(session: Session, workflow: Workflow, name: str) -> Action:
    return session.query(Action).filter_by(workflow_id=workflow.id, name=name).one()


def rules(session: Session, workflow: Workflow, action: Action) -> dict[str, str]:
    infos = queries.infos(session, workflow.id)
    return {one.name: words(one.formula, infos) for one in actions.conditions(session, action.id)}


def written(session: Session, workflow: Workflow, action: Action) -> str:
    """The text as people see it; attributes by their numbers."""
    infos = queries.infos(session, workflow.id)
    return ids_to_names(action.text, actions.names(infos, actions.conditions(session, action.id)))


def test_the_real_course_comes_whole(session: Session, exchange: Exchange) -> None:
    imported = exchange.bring(real_file("ontask_exports/initial_workflow.gz"))
    workflow = session.get_one(Workflow, imported.workflow_id)
    assert workflow.name == "BIOL1011"
    assert (workflow.row_count, len(queries.columns(session, workflow.id))) == (14, 69)
    assert imported.result == {
        "learners": 14, "columns": 69, "messages": 10, "conditions": 28, "views": 4, "attributes": 2
    }  # fmt: skip
    rows = exchange.rows(workflow)
    cells = [value for row in rows for value in row.values()]
    assert (cells.count(None), cells.count("")) == (22, 26)
    assert rows[0]["SID"] == 396913155
    columns = {column.name: column for column in queries.columns(session, workflow.id)}
    assert [column.name for column in columns.values() if column.is_key] == ["SID", "email"]
    assert columns["Difficult Week 2"].allowed_values == ["", "Concept 1", "Concept 2", "Concept 3", "Concept 4"]
    attributes = {one.name: one.value for one in session.query(Attribute).filter_by(workflow_id=workflow.id)}
    assert attributes["Course name"] == "Cell Biology"


def test_the_messages_of_the_real_course_speak_of_its_own_columns(session: Session, exchange: Exchange) -> None:
    workflow = exchange.workflow(real_file("ontask_exports/initial_workflow.gz"))
    badges = message(session, workflow, "Badges")
    assert rules(session, workflow, badges) == {
        "High engagement": "Video_1_W2 is more than 75",
        "Low video engagement": "(Video_1_W2 is more than 0 and Video_1_W2 is at most 25)",
        "Medium engagement": "(Video_1_W2 is more than 25 and Video_1_W2 is at most 75)",
        "No_videos": "Video_1_W2 is 0",
    }
    assert "{% if High engagement %}<img" in written(session, workflow, badges)
    midterm = message(session, workflow, "Midterm comments")
    view = session.query(View).filter_by(workflow_id=workflow.id, name="Midterm").one()
    assert midterm.view_id == view.id
    assert midterm.filter == view.filter
    assert [queries.column(session, workflow.id, key).name for key in view.columns][:2] == ["email", "Q01"]
    lecture = message(session, workflow, "Comments about how to prepare the lecture (Week 4)")
    assert "{% if No Video 1 %}\n<h4" in written(session, workflow, lecture)
    assert words(lecture.filter, queries.infos(session, workflow.id)) == "Video_1_W4 is 0 or Video_2_W4 is 0"
    counts = actions.counts(session, workflow, queries.infos(session, workflow.id), lecture.filter, {})
    assert counts.selected == 3, "as OnTask counted them"


def test_a_rubric_and_a_report_come_with_their_parts(session: Session, exchange: Exchange) -> None:
    workflow = exchange.workflow(real_file("ontask_exports/initial_workflow.gz"))
    rubric = message(session, workflow, "Project feedback")
    assert (rubric.kind, rubric.kept) == ("rubric_text", None)
    assert "{% rubric %}" in rubric.text
    grid = rubrics.grid(session, rubric.id, queries.columns(session, workflow.id))
    assert grid.is_consistent
    assert sum(len(line.cells) for line in grid.lines) == 6
    assert {key for line in grid.lines for key in line.cells} <= {level.key for level in grid.levels}
    report = message(session, workflow, "Send Email with report")
    assert (report.kind, report.kept) == ("email_report", {"filter_description": "Students starting with t"})
    assert "{% table @c" in report.text
    (file,) = reports.attachments(session, report.id)
    view = session.query(View).filter_by(workflow_id=workflow.id, name="Low forum sessions").one()
    assert (file.view_id, file.format) == (view.id, "csv")


def test_json_comes_as_json_with_where_it_goes(session: Session, exchange: Exchange) -> None:
    imported = exchange.bring(real_file("ontask_exports/initial_workflow.gz"))
    workflow = session.get_one(Workflow, imported.workflow_id)
    personal = message(session, workflow, "Send JSON to remote server")
    assert (personal.kind, personal.kept) == ("personalised_json", {"filter_description": "There is an exam score"})
    assert personal.target == {"url": "http://127.0.0.1", "method": "POST", "headers": {}, "is_form": True}
    assert personal.text.startswith('{\n  "sid": {{ @c')
    assert "{% if @k" in personal.text
    report = message(session, workflow, "Send JSON report")
    assert report.kind == "json_report"
    assert '"inactive_students": {% table @c' in report.text
    told = [line for line in imported.document["repairs"] if "Set its token before you send" in line]
    assert [line.partition("”")[0] for line in told] == ["“Send JSON report", "“Send JSON to remote server"]


def test_json_that_can_not_be_taken_over_is_kept_and_told(session: Session, exchange: Exchange) -> None:
    made = action(action_type="personalized_json", text_content='{"a": {{ gone }}}', target_url="ftp://x.example")
    imported = exchange.bring(packed(small(actions=[made])))
    found = message(session, session.get_one(Workflow, imported.workflow_id), "M")
    assert (found.kind, found.text, found.target) == ("personalised_json", '{"a": [gone]}', None)
    assert found.kept == {"text": '{"a": {{ gone }}}', "target_url": "ftp://x.example"}
    assert [line.split(":")[0] for line in imported.document["repairs"]] == [
        "Message “M”", "Message “M” has an address that nothing can be sent to",
    ]  # fmt: skip


def test_a_survey_comes_with_its_questions(session: Session, exchange: Exchange) -> None:
    workflow = exchange.workflow(real_file("ontask_exports/initial_workflow.gz"))
    survey = message(session, workflow, "Student comments Week 1")
    assert survey.kind == "survey"
    (connected,) = actions.conditions(session, survey.id)
    items = surveys.items(session, survey)
    assert [item.problem for item in items] == ["", ""]
    assert [item.question.condition_id for item in items] == [None, connected.id]
    assert [item.column.position for item in items] == sorted(item.column.position for item in items)
    assert all(item.label == item.column.description for item in items)


def test_the_real_scenario_comes_whole(session: Session, exchange: Exchange) -> None:
    imported = exchange.bring(real_file("ontask_exports/scenario_01_wflow.gz"))
    workflow = session.get_one(Workflow, imported.workflow_id)
    assert (workflow.row_count, imported.result["columns"], imported.result["messages"]) == (500, 10, 4)
    assert imported.document["repairs"] == []
    smed = message(session, workflow, "Email students in SMED")
    counts = actions.counts(session, workflow, queries.infos(session, workflow.id), smed.filter, {})
    assert counts.selected == 129


@pytest.mark.parametrize("name", ["initial_workflow.gz", "scenario_01_wflow.gz"])
def test_real_files_go_through_our_format_unchanged(session: Session, exchange: Exchange, name: str) -> None:
    first = exchange.workflow(real_file(f"ontask_exports/{name}"))
    path, before = exchange.write(first)
    second = exchange.workflow(path, name="Again")
    ids = [row.id for row in session.query(Action).filter_by(workflow_id=second.id)]
    _, after = exchange.write(second, actions=ids)
    assert after.to_json() | {"workflow": None} == before.to_json() | {"workflow": None}
    assert exchange.rows(second) == exchange.rows(first)


LEAF = {"id": "mark", "field": "mark", "type": "integer", "input": "number", "operator": "less", "value": "50"}
FORMULA = {"condition": "AND", "not": False, "rules": [LEAF], "valid": True}


def column(name: str, kind: str, position: int = 1, **more: Any) -> dict[str, Any]:
    return {"name": name, "data_type": kind, "is_key": name == "sid", "position": position, "categories": [], **more}


def small(**more: Any) -> dict[str, Any]:
    """A small workflow as version 10 writes it, with two learners."""
    blocks = [
        (array("O8", (1, 2), ["a", "b"], newer=True), places(0, newer=True)),
        (array("i8", (1, 2), [40, 60], newer=True), places(1, newer=True)),
    ]
    return {
        "name": "Small", "description_text": "", "nrows": 2, "ncols": 2, "attributes": {}, "views": [], "actions": [],
        "columns": [column("sid", "string"), column("mark", "integer", 2)],
        "data_frame": encoded(frame(["sid", "mark"], blocks, 2, newer=True)), **more,
    }  # fmt: skip


def test_the_oldest_layout_is_understood(session: Session, exchange: Exchange) -> None:
    old = small(
        version="NO VERSION", query_builder_ops=[{"any": "thing"}], id=None,
        columns=[column("sid", "string", 0), column("mark", "integer", 0)],
        views=[{"name": "Low", "columns": [{"name": "sid"}], "formula": FORMULA, "description_text": "Low marks"}],
        actions=[
            {
                "name": "Old", "is_out": True, "content": "<p>{{ mark }} {% if low %}!{% endif %}</p>", "filter": [],
                "target_url": None,
                "conditions": [
                    {"name": "low", "formula": FORMULA, "formula_text": "mark < 50", "n_rows_selected": 1},
                    {"name": "all", "formula": FORMULA, "is_filter": True, "description_text": "Who gets it"},
                ],
            },
            {"name": "Ask", "is_out": False, "columns": [{"name": "mark"}], "filter": [{"formula": FORMULA}]},
            {"name": "Plain", "filter": {}, "text_content": ""},
        ],
    )  # fmt: skip
    workflow = exchange.workflow(packed(old))
    said = words(message(session, workflow, "Old").filter, queries.infos(session, workflow.id))
    assert said == "mark is less than 50"
    assert list(rules(session, workflow, message(session, workflow, "Old"))) == ["low"]
    assert "{{ mark }} {% if low %}!" in written(session, workflow, message(session, workflow, "Old"))
    ask = message(session, workflow, "Ask")
    assert ask.filter == message(session, workflow, "Old").filter
    mark = queries.columns(session, workflow.id)[1]
    (item,) = surveys.items(session, ask)
    assert (ask.kind, item.column.id, item.kind, item.question.is_once) == ("survey", mark.id, "number", True)
    assert message(session, workflow, "Plain").filter is None
    view = session.query(View).filter_by(workflow_id=workflow.id).one()
    assert view.filter == ask.filter


def test_a_file_without_data_gives_an_empty_workflow_with_its_attributes(session: Session, exchange: Exchange) -> None:
    empty = small(data_frame=None, nrows=0, ncols=0, columns=[], attributes={"Course": "Biology"})
    workflow = exchange.workflow(packed(empty))
    assert workflow.row_count is None
    assert session.query(Attribute).filter_by(workflow_id=workflow.id).one().value == "Biology"


def test_columns_without_data_give_an_empty_table(session: Session, exchange: Exchange) -> None:
    imported = exchange.bring(packed(small(data_frame=None)))
    workflow = session.get_one(Workflow, imported.workflow_id)
    assert workflow.row_count == 0
    assert "The file says it has 2 rows, but holds none." in imported.document["repairs"]


def test_what_can_be_repaired_is_repaired_and_listed(session: Session, exchange: Exchange) -> None:
    blocks = [
        (array("O8", (1, 2), ["a", "a"], newer=True), places(0, newer=True)),
        (array("f8", (1, 2), [40.0, float("nan")], newer=True), places(1, newer=True)),
    ]
    wrong = small(
        nrows=7, data_frame=encoded(frame(["sid", "mark"], blocks, 2, newer=True)),
        columns=[column("sid", "string", 3), column("mark", "integer", 9, categories=[50, 60])],
    )  # fmt: skip
    imported = exchange.bring(packed(wrong))
    told = imported.document["repairs"]
    assert told == [
        "The file says it has 7 rows; there are 2.",
        "The positions of the columns had gaps; they were numbered anew.",
        "Column “sid” is no key any more: rows 1 and 2 both have “a”.",
        "No column tells the learners apart, so a column “Number” with numbers was added.",
        "Column “mark” has 1 value that is not on its list; all stay as they are.",
    ]
    workflow = session.get_one(Workflow, imported.workflow_id)
    assert exchange.rows(workflow) == [
        {"sid": "a", "mark": 40, "Number": 1}, {"sid": "a", "mark": None, "Number": 2}
    ]  # fmt: skip


def action(**more: Any) -> dict[str, Any]:
    return {"name": "M", "action_type": "personalized_text", "text_content": "", "conditions": [], **more}


def leaf(**more: Any) -> dict[str, Any]:
    return {"condition": "AND", "rules": [{**LEAF, **more}]}


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"columns": [column("sid", "string")]}, "Column “mark” is in the table but not described."),
        ({"columns": [column("sid", "string"), column("mark", "integer", 2), column("x", "string", 3)]},
         "Column “x” is described but not in the table."),
        ({"columns": [column("sid", "string"), column("mark", "text", 2)]},
         "Column “mark” has the unknown type “text”."),
        ({"columns": [column("sid", "integer"), column("mark", "integer", 2)]},
         "Column “sid”, row 1: “a” is no whole number. Each value must be of the column’s type."),
        ({"columns": [column("sid", "string", categories=[5, {}]), column("mark", "integer", 2)]},
         "Column “sid”: “{}” is in its list of allowed values but not of its type."),
        ({"views": [{"name": "V", "columns": [{"name": "gone"}]}]},
         "View “V” speaks of a column “gone” that is not there."),
        ({"views": [{"name": "V", "columns": [{"name": "sid"}], "filter": {"_formula": leaf(field="gone")}}]},
         "View “V”, filter: there is no column “gone”."),
        ({"actions": [action(conditions=[{"name": "c", "_formula": leaf(field="gone")}])]},
         "Message “M”, condition “c”: there is no column “gone”."),
        ({"actions": [action(conditions=[{"name": "c", "_formula": {}}])]},
         "Message “M”, condition “c” uses no column. A condition must use at least one."),
        ({"actions": [action(conditions=[{"name": "c", "_formula": leaf(operator="sounds_like")}])]},
         "“mark” is compared by “sounds_like”, which is not known."),
        ({"actions": [action(conditions=[{"name": "c", "_formula": leaf(value="many")}])]},
         "“many” can’t be compared with the column “mark”: type a whole number."),
        (
            {"actions": [action(action_type="email_report", attachments=[{"name": "gone"}])]},
            "attaches the view “gone”, which is not there.",
        ),
        ({"actions": [action(filter=[{"_formula": FORMULA}, {"_formula": FORMULA}])]}, "has more than one filter."),
        ({"data_frame": "gASVBAAAAAAAAACMAUGULg=="}, "unsupported content"),
        ({"data_frame": 5}, "“data_frame” is no text."), ({"attributes": [1]}, "“attributes” is no object."),
        ({"columns": 5}, "“columns” is no list of objects."),
    ],
)  # fmt: skip
def test_what_can_not_be_repaired_is_refused_by_name(exchange: Exchange, changes: dict[str, Any], reason: str) -> None:
    with pytest.raises(errors.Invalid) as caught:
        exchange.bring(packed(small(**changes)))
    assert reason in caught.value.message


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"sid,mark\n1,2\n", "neither a .zip that was exported here nor a .gz"), (b"", "neither a .zip"),
        (packed({"columns": []})[:-9], "its end is missing"), (b"\x1f\x8brubbish and more of it", "no gzip file"),
        (packed("text"), "it has neither a workflow nor messages"),
    ],
)  # fmt: skip
def test_other_files_are_refused(exchange: Exchange, content: bytes, reason: str) -> None:
    with pytest.raises(errors.Invalid, match=reason):
        exchange.bring(content)


@pytest.mark.parametrize(
    ("operator", "value", "column_name", "said"),
    [
        ("less", "50.0", "mark", "mark is less than 50"), ("less", 7.5, "mark", "mark is less than 8"),
        ("greater_or_equal", "7.5", "mark", "mark is at least 8"),
        ("between", [1, 5], "mark", "mark is between 1 and 5"),
        ("is_empty", None, "mark", "mark is missing"), ("equal", "", "sid", "sid is empty and sid is not missing"),
        ("not_contains", "x", "sid", "sid does not contain “x” (or missing)"),
    ],
)  # fmt: skip
def test_formulas_mean_the_same(
    session: Session, exchange: Exchange, operator: str, value: Any, column_name: str, said: str
) -> None:
    formula = leaf(operator=operator, value=value, field=column_name, id=column_name)
    workflow = exchange.workflow(packed(small(actions=[action(filter={"_formula": formula})])))
    found = words(message(session, workflow, "M").filter, queries.infos(session, workflow.id))
    assert found in {said, f"({said})"}


@pytest.mark.parametrize(
    ("text", "stored", "is_kept"),
    [
        ("<p>{{ mark|floatformat:2 }}</p>", "<p>{{ mark | round: 2 }}</p>", False),
        ('<p>{{ sid|default:"you" }}</p>', '<p>{{ sid | default: "you" }}</p>', False),
        ("<p>{{ nobody }}</p>", "<p>[nobody]</p>", True),
        ("<p>{% comment %}Your action content here{% endcomment %}</p>", "<p></p>", False),
        ("<p>{% if low %}a{% else %}b{% endif %}</p>", "<p>{% if low %}a{% else %}b{% endif %}</p>", False),
        ("<p>{% if low %}a</p>", "<p>[if low]a</p>", True),
        ("<p>{% for x in y %}</p>", "<p>[for x in y]</p>", True),
    ],
)  # fmt: skip
def test_texts_are_translated_or_kept(
    session: Session, exchange: Exchange, text: str, stored: str, is_kept: bool
) -> None:
    made = action(text_content=text, conditions=[{"name": "low", "_formula": FORMULA}])
    imported = exchange.bring(packed(small(actions=[made])))
    workflow = session.get_one(Workflow, imported.workflow_id)
    found = message(session, workflow, "M")
    assert written(session, workflow, found) == stored
    assert (found.kept == {"text": text}) == is_kept
    assert bool(imported.document["repairs"]) == is_kept


def test_names_that_are_not_allowed_here_are_changed_everywhere(session: Session, exchange: Exchange) -> None:
    changed = copy.deepcopy(small())
    changed["columns"][1]["name"] = 'the "mark"'
    blocks = [
        (array("O8", (1, 1), ["a"], newer=True), places(0, newer=True)),
        (array("i8", (1, 1), [40], newer=True), places(1, newer=True)),
    ]
    changed["data_frame"] = encoded(frame(["sid", 'the "mark"'], blocks, 1, newer=True))
    formula = leaf(field='the "mark"')
    changed["actions"] = [
        action(conditions=[{"name": "sid", "_formula": formula}], text_content="{% if sid %}x{% endif %}")
    ]
    workflow = exchange.workflow(packed(changed))
    assert exchange.rows(workflow) == [{"sid": "a", "the ”mark”": 40}]
    found = message(session, workflow, "M")
    assert rules(session, workflow, found) == {"sid (2)": "the ”mark” is less than 50"}
    assert written(session, workflow, found) == '{% if "sid (2)" %}x{% endif %}'
