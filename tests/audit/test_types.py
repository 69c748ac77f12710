"""Each door leaves its own event, with what there is to say about it: one scene, door after door."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sqlalchemy import text
from sqlalchemy.orm import Session

from chalicelib.accounts import passwords
from chalicelib.accounts.models import User
from chalicelib.accounts.roles import WorkflowRole
from chalicelib.audit.words import WORDS
from chalicelib.workflows.models import Member, Workflow
from tests.conftest import Browser, make_user, signed_in
from tests.factories import make_action, make_table

SOURCES = Path(__file__).parent.parent.parent / "chalicelib"
SECRET = "a long secret word"
#: What the product promises to note, by the room that does it.
PROMISED = """
    action_created action_text_changed action_renamed action_copied action_deleted messages_imported target_changed
    action_filter_changed action_filter_removed condition_created condition_changed condition_copied condition_deleted
    question_added question_changed question_switched question_removed question_shuffled
    item_added item_changed item_switched item_removed item_shuffled
    criterion_added criterion_changed criterion_removed rubric_cell_changed rubric_levels_changed
    attachment_added attachment_removed link_changed link_renewed action_served survey_answered todo_answered
    run_confirmed run_started run_done run_failed run_paused run_resumed run_cancelled run_retried run_undone
    message_sent report_sent message_failed object_sent object_failed message_opened link_clicked message_bounced
    message_complained notification_sent test_sent archive_requested archive_built archive_downloaded
    schedule_created schedule_changed schedule_switched_on schedule_switched_off schedule_deleted schedule_failed
    column_added column_computed column_dealt column_copied column_changed column_renamed column_retyped column_deleted
    row_added row_changed cell_changed row_deleted rows_changed rows_deleted data_uploaded data_merged import_failed
    workflow_flushed view_created view_changed view_deleted attribute_added attribute_changed attribute_deleted
    workflow_created workflow_renamed workflow_formats_changed workflow_cloned workflow_imported workflow_deleted
    workflow_starred workflow_purged workflow_transferred shared unshared role_changed left learners_chosen
    learners_updated workflow_exported messages_exported table_exported log_exported recipients_exported
    personal_exported personal_erased unsubscribed resubscribed address_suppressed address_released
    signed_in sign_in_failed permission_refused profile_changed password_changed user_created token_made token_revoked
"""


def test_every_promised_event_has_words_and_is_written_somewhere() -> None:
    code = "\n".join(path.read_text() for path in sorted(SOURCES.rglob("*.py")) if path.name != "words.py")
    #: Put together in SQL, or for items from the word for questions.
    built = {"message_failed", "object_sent", "object_failed", "message_bounced", "message_complained"}
    missing = [
        kind for kind in PROMISED.split()
        if kind not in built and not re.search(rf"""["']{kind.replace("item_", "question_")}["']""", code)
    ]  # fmt: skip
    assert missing == []
    assert set(PROMISED.split()) - set(WORDS) == set()


Door = tuple[str, Callable[[], Any], set[str]]


def test_each_door_leaves_its_event_with_what_changed_and_without_secrets(
    client: Browser, session: Session, user: User, workflow: Workflow
) -> None:
    columns = make_table(session, workflow, {"sid": "text", "email": "text", "mark": "integer"}, [("s1", "a@x.org", 3)])
    action = make_action(session, workflow, "<p>Hello</p>", "Reminder")
    survey = make_action(session, workflow, "<p>Ask</p>", "Survey", "survey")
    base = f"/workflows/{workflow.id}"
    here, form = f"{base}/actions/{action.id}", f"{base}/actions/{survey.id}"
    user.password_hash = passwords.hash_new(SECRET, user.email, user.name)
    viewer = make_user(session, "vera@uni.example")
    session.add(
        Member(workflow_id=workflow.id, user_id=viewer.id, role=WorkflowRole.VIEWER, created_at=user.created_at)
    )
    session.flush()
    low = json.dumps({"all": [{"column": columns["mark"], "op": "less", "value": "5"}]})
    lower = json.dumps({"all": [{"column": columns["mark"], "op": "less", "value": "4"}]})

    def latest(table: str) -> int:
        return int(session.scalar(text(f"SELECT max(id) FROM ontask.{table}")) or 0)

    def post(path: str, **fields: Any) -> Callable[[], Any]:
        return lambda: client.post(path, fields)

    doors: list[Door] = [
        ("action_created", post(f"{base}/actions", name="Second"), {"name", "kind"}),
        ("action_text_changed", post(f"{here}/text", text="<p>Bye</p>", version=1), {"name", "kind", "version"}),
        ("action_renamed", post(f"{here}/settings", name="Reminder 2", description=""), {"name", "old"}),
        ("action_copied", post(f"{here}/copy"), {"name", "original", "old"}),
        ("action_filter_changed", post(f"{here}/filter", formula=low), {"old", "new", "new_words"}),
        ("condition_created", post(f"{here}/conditions", name="low", formula=low), {"name", "condition_id", "formula"}),
        ("condition_changed", lambda: client.post(f"{here}/conditions/{latest('condition')}",
                                                  {"name": "lower", "formula": lower}), {"old", "new"}),
        ("condition_copied", lambda: client.post(f"{here}/conditions/{latest('condition')}/copy"), {"original", "old"}),
        ("condition_deleted", lambda: client.post(f"{here}/conditions/{latest('condition')}/delete"), {"formula"}),
        ("question_added", post(f"{form}/questions", do="insert", columns=columns["mark"]),
         {"question_id", "column_id", "kind", "condition_id"}),
        ("question_shuffled", post(f"{form}/questions", do="shuffle", is_shuffled="1"), {"is_shuffled"}),
        ("link_changed", post(f"{here}/link", column=columns["email"], is_on="1"), {"old", "new"}),
        ("view_created", post(f"{base}/views", name="All", columns=[columns["sid"]]), {"view_id", "columns"}),
        ("attribute_added", post(f"{base}/attributes", action="add", name="Term", value="spring"), {"name", "value"}),
        ("workflow_renamed", post(f"{base}/settings", name="Biology 102", description=""), {"old", "name"}),
        ("workflow_formats_changed", post(f"{base}/settings", formats="1", decimals="1", time_zone="UTC"),
         {"old", "new"}),
        ("workflow_starred", post(f"{base}/star"), {"name"}),
        ("shared", post(f"{base}/people", action="share", email="olaf@uni.example", role="viewer"), {"name", "role"}),
        ("table_exported", post(f"{base}/downloads"), {"format"}),
        ("log_exported", post(f"{base}/log", text="a"), {"narrowed_by"}),
        ("profile_changed", post("/me", name="Ines I", time_zone="Europe/Madrid"), {"time_zone"}),
        ("permission_refused", lambda: signed_in(session, viewer).post(f"{here}/copy"), {"method", "route"}),
        ("sign_in_failed", lambda: Browser().post("/sign-in", {"email": user.email, "password": "wrong one"}), {"way"}),
        ("signed_in", lambda: Browser().post("/sign-in", {"email": user.email, "password": SECRET}), {"way"}),
        ("action_deleted", post(f"{here}/delete"), {"name"}),
        ("workflow_deleted", post(f"{base}/delete"), {"name"}),
    ]  # fmt: skip
    make_user(session, "olaf@uni.example")
    for kind, enter, payload in doors:
        before = latest("event")
        page = enter()
        query = text(
            "SELECT type, user_id, outcome, detail || personal AS facts, origin FROM ontask.event WHERE id > :id"
        )
        left = {row.type: row for row in session.execute(query, {"id": before})}
        told = " ".join(re.sub("<[^>]*>", " ", page.body).split())[-600:]
        assert kind in left, f"{kind}: {page.status} {page.location} {told}"
        assert payload <= set(left[kind].facts), kind
        assert left[kind].origin == "page"
        assert (left[kind].outcome == "failed") == kind.endswith(("_failed", "_refused")), kind
    everything = "SELECT string_agg(concat(detail, personal), ' ') FROM ontask.event"
    assert SECRET not in str(session.scalar(text(everything)))
