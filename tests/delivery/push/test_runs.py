"""From a confirmed run of JSON to requests: one for each learner, once, whatever the other system answers."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import text

from chalicelib import database, errors
from chalicelib.actions.models import Action
from chalicelib.delivery import service as runs
from chalicelib.delivery.models import PUSH, Message, Run
from chalicelib.delivery.push import sender as sending
from chalicelib.delivery.push import service
from chalicelib.delivery.push.pusher import Pusher
from chalicelib.delivery.push.sender import PushSender
from chalicelib.delivery.push.service import PushOrder
from chalicelib.settings import settings
from chalicelib.workflows.models import Workflow
from tests.delivery.cloud import Cloud, Killed, run_state, states
from tests.delivery.conftest import Course, MakeCourse
from tests.delivery.push.server import Other

TEXT = '{{"id": "{{{{ @c{key} }}}}", "mark": {{{{ @c{mark} }}}}{{% if @k{low} %}}, "low": true{{% endif %}}}}'


@dataclass
class Feed:
    """A course whose marks go to another system."""

    course: Course
    other: Other
    lane: str

    def order(self, **changes: Any) -> PushOrder:
        return PushOrder(**{"token": "s3cret-token", **changes})

    def confirm(self, **changes: Any) -> Run:
        with database.scope() as session:
            workflow = session.get_one(Workflow, self.course.workflow.id)
            action = session.get_one(Action, self.course.action.id)
            return service.confirm(session, self.course.user.id, workflow, action, self.order(**changes))

    def messages(self, run: Run) -> list[Message]:
        with database.scope() as session:
            found = session.query(Message).filter_by(run_id=run.id).order_by(Message.id).all()
            session.expunge_all()
            return found

    def bodies(self) -> list[Any]:
        return [json.loads(got.body) for got in self.other.got]


MakeFeed = Callable[..., Feed]


@pytest.fixture
def make_feed(make_course: MakeCourse, cloud: Cloud, other: Other, monkeypatch: pytest.MonkeyPatch) -> MakeFeed:
    """Makes a feed for so many learners, served by a worker in the small cloud's time."""

    def serve(lane: str) -> int:
        if not lane.startswith(PUSH):
            return Cloud.serve(cloud, lane)
        sleep = lambda rest: cloud.time.advance(seconds=rest)  # noqa: E731
        return worker(lane, Pusher(timeout=0.3), seconds=PushSender.slowest + 2, sleep=sleep).run()

    worker = PushSender
    monkeypatch.setattr(cloud, "serve", serve)

    def make(rows: Any = 3, kind: str = "personalised_json", stored: str = "", **target: Any) -> Feed:
        course = make_course(rows)
        with database.scope() as session:
            action = session.get_one(Action, course.action.id)
            low = session.execute(text("SELECT id FROM ontask.condition WHERE action_id = :id"), {"id": action.id})
            action.kind = kind
            action.text = (stored or TEXT).format(**course.columns, low=low.scalar_one())
            action.target = {"url": other.url("/marks"), "method": "POST", "headers": {}, "is_form": False} | target
        return Feed(course, other, f"{PUSH}127.0.0.1:{other.port}")

    return make


def test_every_learner_becomes_one_request_with_real_types_and_the_token(make_feed: MakeFeed, cloud: Cloud) -> None:
    feed = make_feed([("s1", None, 'Ana "A"', 40), ("s2", "b@uni.example", "Ben", None)], headers={"X-Course": "Bio"})
    run = feed.confirm()
    cloud.run(hours=1)
    assert feed.bodies() == [{"id": "s1", "mark": 40, "low": True}, {"id": "s2", "mark": None}]
    first = feed.other.got[0]
    assert (first.method, first.path) == ("POST", "/marks")
    assert first.headers["authorization"] == "Bearer s3cret-token"
    assert first.headers["content-type"] == "application/json"
    assert first.headers["x-course"] == "Bio"
    messages = feed.messages(run)
    assert [got.headers["idempotency-key"] for got in feed.other.got] == [str(one.id) for one in messages]
    assert [one.answer for one in messages] == ['200 {"ok": true}'] * 2
    assert (states(run.id), run_state(run.id)) == ({"sent": 2}, "done")


def test_the_token_is_nowhere_but_encrypted(make_feed: MakeFeed, cloud: Cloud) -> None:
    feed = make_feed()
    feed.confirm()
    cloud.run(hours=1)
    with database.scope() as session:
        tables = session.scalars(text("SELECT tablename FROM pg_tables WHERE schemaname IN ('ontask', 'learners')"))
        for table in tables.all():
            schema = "learners" if table.startswith("w") and table[1:].isdigit() else "ontask"
            found = session.scalar(
                text(f"SELECT count(*) FROM {schema}.\"{table}\" t WHERE t::text LIKE '%s3cret%'")
            )  # fmt: skip
            assert found == 0, table


def test_the_old_way_sends_the_object_in_a_form(make_feed: MakeFeed, cloud: Cloud) -> None:
    feed = make_feed(1, method="PUT", is_form=True)
    feed.confirm()
    cloud.run(hours=1)
    (got,) = feed.other.got
    assert got.method == "PUT"
    assert got.headers["content-type"] == "application/x-www-form-urlencoded"
    assert got.body == "id=s1&mark=1&low=true"


def test_excluded_learners_get_none_and_are_listed(make_feed: MakeFeed, cloud: Cloud) -> None:
    feed = make_feed(4)
    run = feed.confirm(item_column_id=feed.course.columns["key"], left_out=("s2", "s3"))
    cloud.run(hours=1)
    assert [one["id"] for one in feed.bodies()] == ["s1", "s4"]
    assert states(run.id) == {"sent": 2, "skipped": 2}


def test_a_run_is_refused_without_address_token_or_learner(make_feed: MakeFeed) -> None:
    feed = make_feed(2)
    with pytest.raises(errors.Invalid) as refused:
        feed.confirm(token="")
    assert "token" in refused.value.fields
    with pytest.raises(errors.Invalid, match="nobody"):
        feed.confirm(item_column_id=feed.course.columns["key"], left_out=("s1", "s2"))
    with database.scope() as session:
        session.get_one(Action, feed.course.action.id).target = None
    with pytest.raises(errors.Invalid, match="no address"):
        feed.confirm()


def test_the_same_form_twice_is_one_run(make_feed: MakeFeed, cloud: Cloud) -> None:
    feed = make_feed(2)
    assert feed.confirm(form_token="f").id == feed.confirm(form_token="f").id
    cloud.run(hours=1)
    assert len(feed.other.got) == 2


def test_later_edits_change_nothing_of_a_run(make_feed: MakeFeed, cloud: Cloud) -> None:
    feed = make_feed(1)
    feed.confirm()
    cloud.run(hours=3 / 3600)
    with database.scope() as session:
        action = session.get_one(Action, feed.course.action.id)
        action.text, action.target = '{"changed": 1}', {**(action.target or {}), "url": "http://127.0.0.1:1/"}
    cloud.run(hours=1)
    assert feed.bodies() == [{"id": "s1", "mark": 1, "low": True}]


def test_an_object_that_is_no_json_fails_alone(make_feed: MakeFeed, cloud: Cloud) -> None:
    feed = make_feed(
        [("s1", None, "Ana", 1), ("s2", None, "x", None)], stored='{{"name": {{{{ @c{name} | date: "dd" }}}}}}'
    )
    with database.scope() as session:
        action = session.get_one(Action, feed.course.action.id)
        action.text = '{{% if @k{low} %}}{{"a": 1}}{{% else %}}{{"a": }}{{% endif %}}'.format(
            low=session.execute(text("SELECT id FROM ontask.condition")).scalar_one()
        )
    run = feed.confirm()
    cloud.run(hours=1)
    assert states(run.id) == {"sent": 1, "failed": 1}
    assert "no JSON for this learner. Line 1, column 7" in feed.messages(run)[1].reason


# -- what the other system answers


def test_what_is_refused_fails_with_the_answer_and_can_be_tried_again(make_feed: MakeFeed, cloud: Cloud) -> None:
    feed = make_feed(2)
    feed.other.queue = [(404, {}, b"no such course"), (200, {}, b"")]
    run = feed.confirm()
    cloud.run(hours=1)
    assert states(run.id) == {"failed": 1, "sent": 1}
    assert feed.messages(run)[0].reason == "404 no such course"
    with database.scope() as session:
        assert runs.retry_failed(session, feed.course.user.id, session.get_one(Run, run.id)) == 1
    cloud.run(hours=1)
    assert (states(run.id), run_state(run.id)) == ({"sent": 2}, "done")


def test_a_host_that_wants_to_be_left_alone_is(make_feed: MakeFeed, cloud: Cloud) -> None:
    feed = make_feed(3)
    feed.other.queue = [(429, {"Retry-After": "600"}, b"slow down")]
    run = feed.confirm()
    cloud.run(hours=5 / 60)
    assert len(feed.other.got) == 1
    assert states(run.id)["waiting"] == 1
    cloud.run(hours=1)
    assert states(run.id) == {"sent": 3}
    keys = [got.headers["idempotency-key"] for got in feed.other.got]
    assert len(keys) == 4
    assert keys.count(keys[0]) == 2


def test_pauses_grow_and_end_with_a_failure_that_says_why(make_feed: MakeFeed, cloud: Cloud) -> None:
    feed = make_feed(1)
    feed.other.answers["/marks"] = (500, {}, b"broken")
    run = feed.confirm()
    cloud.run(hours=24)
    assert len(feed.other.got) == sending.MAX_ATTEMPTS
    (message,) = feed.messages(run)
    assert (message.state, message.reason) == ("failed", f"Tried {sending.MAX_ATTEMPTS} times. 500 broken")
    assert run_state(run.id) == "done"


def test_an_error_of_one_object_does_not_hold_up_the_others(make_feed: MakeFeed, cloud: Cloud) -> None:
    feed = make_feed(3)
    feed.other.queue = [(500, {}, b"")]
    run = feed.confirm()
    cloud.run(hours=25 / 3600)
    assert states(run.id) == {"sent": 2, "waiting": 1}
    cloud.run(hours=1)
    assert states(run.id) == {"sent": 3}


def test_a_cancelled_run_sends_nothing_that_was_wanted_later(make_feed: MakeFeed, cloud: Cloud) -> None:
    feed = make_feed(1)
    feed.other.queue = [(503, {"Retry-After": "300"}, b"")]
    run = feed.confirm()
    cloud.run(hours=1 / 60)
    with database.scope() as session:
        runs.cancel(session, feed.course.user.id, session.get_one(Run, run.id))
    cloud.run(hours=2)
    assert (len(feed.other.got), states(run.id)) == (1, {"cancelled": 1})


def test_a_request_without_an_answer_is_in_doubt_and_never_repeated_by_itself(
    make_feed: MakeFeed, cloud: Cloud
) -> None:
    feed = make_feed(2, url="")
    with database.scope() as session:
        session.get_one(Action, feed.course.action.id).target = {
            "url": feed.other.url("/silent"), "method": "POST", "headers": {}, "is_form": False,
        }  # fmt: skip
    run = feed.confirm()
    cloud.run(hours=3)
    assert (states(run.id), run_state(run.id), len(feed.other.got)) == ({"unknown": 2}, "done", 2)
    feed.other.release.set()
    with database.scope() as session:
        runs.send_again(session, feed.course.user.id, session.get_one(Message, feed.messages(run)[0].id))
    cloud.run(hours=3)
    assert len(feed.other.got) == 3
    assert feed.other.got[0].headers["idempotency-key"] == feed.other.got[2].headers["idempotency-key"]


def test_a_missing_token_fails_and_a_new_one_is_enough_to_try_again(make_feed: MakeFeed, cloud: Cloud) -> None:
    feed = make_feed(1)
    run = feed.confirm()
    with database.scope() as session:
        service.tokens.drop(session, feed.course.action.id)
    cloud.run(hours=1)
    assert "no token" in feed.messages(run)[0].reason
    with database.scope() as session:
        service.tokens.put(session, feed.course.action.id, "another")
        runs.retry_failed(session, feed.course.user.id, session.get_one(Run, run.id))
    cloud.run(hours=1)
    assert feed.other.got[0].headers["authorization"] == "Bearer another"


def test_in_safe_mode_objects_are_kept_and_nothing_is_sent(
    make_feed: MakeFeed, cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    feed = make_feed(2)
    monkeypatch.setenv("SAFE_MODE_ADDRESS", "safe@uni.example")
    settings.cache_clear()
    run = feed.confirm()
    cloud.run(hours=1)
    assert feed.other.got == []
    assert (states(run.id), feed.messages(run)[0].answer) == ({"sent": 2}, sending.LOGGED)


def test_requests_keep_to_the_rate_of_their_host(make_feed: MakeFeed, cloud: Cloud) -> None:
    feed = make_feed(30)
    run = feed.confirm()
    cloud.run(hours=1)
    sent = sorted(one.sent_at for one in feed.messages(run) if one.sent_at)
    assert len(sent) == 30
    assert sent[-1] - sent[0] >= timedelta(seconds=(30 - settings().push_rate) / settings().push_rate - 1)


# -- reports


def test_a_report_is_one_object_with_lists_of_real_types(make_feed: MakeFeed, cloud: Cloud) -> None:
    feed = make_feed(
        [("s1", None, "Ana", 40), ("s2", None, "Ben", None)], kind="json_report",
        stored='{{"course": "Bio", "marks": {{% table @c{name}, @c{mark} %}}}}',
    )  # fmt: skip
    run = feed.confirm()
    cloud.run(hours=1)
    assert feed.bodies() == [{"course": "Bio", "marks": {"name": ["Ana", "Ben"], "mark": [40, None]}}]
    assert (states(run.id), run_state(run.id)) == ({"sent": 1}, "done")


# -- workers that die


@pytest.mark.parametrize("step", ["reserve", "claim", "hand_over", "settle"])
@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_killed_worker_doubles_nothing_and_loses_nothing_silently(
    make_feed: MakeFeed, cloud: Cloud, monkeypatch: pytest.MonkeyPatch, step: str, moment: str
) -> None:
    feed = make_feed(5)
    real, calls = getattr(PushSender, step), []

    def mortal(self: PushSender, *given: Any) -> Any:
        calls.append(step)
        dies = len(calls) == 2
        if dies and moment == "before":
            raise Killed
        made = real(self, *given)
        if dies:
            raise Killed
        return made

    monkeypatch.setattr(PushSender, step, mortal)
    run = feed.confirm()
    cloud.run(hours=6)
    keys = [got.headers["idempotency-key"] for got in feed.other.got]
    assert len(keys) == len(set(keys))
    found = states(run.id)
    assert found["sent"] + found["unknown"] == 5
    assert set(keys) >= {str(one.id) for one in feed.messages(run) if one.state == "sent"}
    assert run_state(run.id) == "done"
