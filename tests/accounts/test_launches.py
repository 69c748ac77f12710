"""Launches by LTI 1.1: who comes in, as whom, with which rights; and who does not."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from urllib.parse import urlencode

import boto3
import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from chalicelib import clock
from chalicelib.accounts.lti import launches, signature
from chalicelib.accounts.lti.refusals import Refused
from chalicelib.accounts.models import Launch, UsedOnce, User
from chalicelib.accounts.models import Session as Visit
from chalicelib.accounts.roles import Role
from chalicelib.audit.models import Event
from chalicelib.aws import secrets
from chalicelib.schedules import due
from chalicelib.settings import settings
from tests.accounts.lms import CANVAS, LEARNER, come_in, launch, signed
from tests.conftest import Browser, Clock, make_user, signed_in

pytestmark = pytest.mark.usefixtures("lms")


def ada(session: Session) -> User:
    session.expire_all()
    return session.scalars(select(User).where(User.email == "ada@uni.example")).one()


def test_a_learner_comes_in_and_gets_an_account(visitor: Browser, session: Session) -> None:
    page = come_in(visitor, signed(LEARNER))
    assert page.status == 200
    assert "Open to you" in page.body
    user = ada(session)
    assert (user.name, user.role, user.password_hash) == ("Ada Lovelace", Role.LEARNER, None)
    assert session.scalars(select(Event.type).where(Event.user_id == user.id)).all() == ["user_created", "signed_in"]


def test_the_worked_example_of_the_guide_is_accepted(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    """IMS GLOBAL Learning Tools Interoperability, Basic LTI implementation guide 1.0: its example of a signature."""
    monkeypatch.setenv("BASE_URL", "http://dr-chuck.com/ims/php-simple")
    monkeypatch.setenv("LTI_CREDENTIALS", "12345=secret")
    settings.cache_clear()
    clock.use(lambda: datetime.fromtimestamp(1251600739, UTC))
    fields = {
        "basiclti_submit": "Launch Endpoint with BasicLTI Data", "context_id": "456434513", "context_label": "SI182",
        "context_title": "Design of Personal Environments", "lis_person_contact_email_primary": "user@school.edu",
        "lis_person_name_full": "Jane Q. Public", "lis_person_sourced_id": "school.edu:user",
        "lti_message_type": "basic-lti-launch-request", "lti_version": "LTI-1p0",
        "oauth_consumer_key": "12345", "oauth_nonce": "c8350c0e47782d16d2fa48b2090c1d8f",
        "oauth_signature": "TPFPK4u3NwmtLt0nDMP1G1zG30U=", "oauth_signature_method": "HMAC-SHA1",
        "oauth_timestamp": "1251600739", "oauth_version": "1.0", "resource_link_id": "120988f929-274612",
        "roles": "Instructor", "tool_consumer_instance_description": "University of School (LMSng)",
        "tool_consumer_instance_guid": "lmsng.school.edu", "user_id": "292832126",
    }  # fmt: skip
    assert signature.check(session, "/tool.php", {}, urlencode(fields)).key == "12345"
    with pytest.raises(Refused):
        signature.check(session, "/tool.php", {"a": ["1"]}, urlencode(fields))
    # As the Ruby library of IMS signs: the query of the address is posted, too, and signed once.
    query = {"a": ["1"], "b": ["2"], "c": ["3 &a"]}
    doubled = fields | {"a": "1", "b": "2", "c": "3 &a", "oauth_signature": "uF7LooyefQN5aocx7UlYQ4tQM5k="}
    with pytest.raises(Refused) as refused:  # rightly signed, but with the nonce of before
        signature.check(session, "/tool.php", query, urlencode(doubled))
    assert refused.value.reason == "replay"


def test_the_signature_is_over_the_public_address_with_its_query(
    visitor: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Signed by hand and `openssl dgst -sha1 -hmac`, for an installation behind a prefix."""
    monkeypatch.setenv("BASE_URL", "https://uni.example/ontask")
    settings.cache_clear()
    fields = {
        "lti_message_type": "basic-lti-launch-request", "lti_version": "LTI-1p0",
        "resource_link_id": "120988f929-274612", "roles": "urn:lti:role:ims/lis/Learner", "user_id": "",
        "lis_person_contact_email_primary": "zoe@uni.example", "lis_person_name_full": "Zoë O'Brien & sons",
        "context_title": "Über 100 % *new*\r\ntext", "oauth_consumer_key": "canvas", "oauth_nonce": "uK2rTQ0bI9+/=",
        "oauth_timestamp": "1772452800", "oauth_signature_method": "HMAC-SHA1", "oauth_version": "1.0",
        "oauth_callback": "about:blank", "oauth_signature": "Kfi5OD3nH+n2bL8ZvcYv8gN4hA8=",
    }  # fmt: skip
    answer = launch(visitor, fields, "/me?from=lms+%26%20co&a=1")
    assert answer.status == 303, answer.body
    assert answer.location.startswith("/ontask/lti_entry?token=")


def test_the_same_learner_has_one_account_whatever_the_case(visitor: Browser, session: Session) -> None:
    known = make_user(session, "ada@uni.example", Role.LEARNER)
    come_in(visitor, signed(LEARNER | {"lis_person_contact_email_primary": "ADA@uni.EXAMPLE"}))
    assert ada(session).id == known.id
    assert ada(session).name == "Ada"


@pytest.mark.parametrize(
    ("fields", "name"),
    [
        ({}, "Ada Lovelace"),
        ({"lis_person_name_family": "", "lis_person_name_full": "Ada L."}, "Ada"),
        ({"lis_person_name_given": "", "lis_person_name_family": "", "lis_person_name_full": "Ada L."}, "Ada L."),
        ({"lis_person_name_given": "", "lis_person_name_family": ""}, "s123"),
        ({"lis_person_name_given": "", "lis_person_name_family": "", "lis_person_sourcedid": ""}, "cuid:42"),
    ],
)
def test_a_name_wins_over_an_id(visitor: Browser, session: Session, fields: dict[str, str], name: str) -> None:
    come_in(visitor, signed(LEARNER | fields))
    assert ada(session).name == name


@pytest.mark.parametrize("fields", [{}, {"roles": "Instructor"}])
def test_a_launch_opens_nothing_of_an_instructor(visitor: Browser, session: Session, fields: dict[str, str]) -> None:
    make_user(session, "ada@uni.example", Role.INSTRUCTOR)
    come_in(visitor, signed(LEARNER | fields))
    assert visitor.get("/workflows").location.startswith("/sign-in")


def test_a_role_makes_an_instructor_where_the_credential_says_so(visitor: Browser, session: Session) -> None:
    come_in(visitor, signed(LEARNER | {"roles": "Instructor"}, key="moodle", secret="s3"))
    assert ada(session).role == Role.LEARNER
    come_in(visitor, signed(LEARNER | {"custom_roles": "TeachingAssistant"}, key="trusted", secret="s2"))
    assert ada(session).role == Role.INSTRUCTOR
    assert visitor.get("/workflows").status == 200
    come_in(visitor, signed(LEARNER, key="trusted", secret="s2"))
    assert visitor.get("/workflows").location.startswith("/sign-in")


@pytest.mark.parametrize("role", ["urn:lti:instrole:ims/lis/Instructor", "urn:lti:sysrole:ims/lis/Instructor"])
def test_a_role_elsewhere_in_the_institution_makes_no_instructor(visitor: Browser, session: Session, role: str) -> None:
    come_in(visitor, signed(LEARNER | {"roles": f"Learner,{role}"}, key="trusted", secret="s2"))
    assert ada(session).role == Role.LEARNER


@pytest.mark.parametrize("role", [Role.ADMIN, Role.SUPPORT])
def test_no_lms_speaks_for_an_administrator(visitor: Browser, session: Session, role: Role) -> None:
    make_user(session, "ada@uni.example", role)
    come_in(visitor, signed(LEARNER | {"roles": "Instructor"}, key="trusted", secret="s2"))
    assert visitor.get("/workflows").location.startswith("/sign-in")
    assert ada(session).role == role


@pytest.mark.parametrize(
    "roles",
    [
        "Learner", "learner", "Instructor,Observer", "urn:lti:role:ims/lis/Learner", "TeachingAssistant",
        "urn:lti:role:ims/lis/Learner/GuestLearner", "urn:lti:instrole:ims/lis/Student", "ContentDeveloper",
        "http://purl.imsglobal.org/vocab/lis/v2/membership#Learner", " , Administrator",
    ],
)  # fmt: skip
def test_roles_are_understood_by_their_names(visitor: Browser, roles: str) -> None:
    assert come_in(visitor, signed(LEARNER | {"roles": roles})).status == 200


def altered(name: str, value: str) -> dict[str, str]:
    return signed(LEARNER) | {name: value}


REFUSED: dict[str, tuple[Callable[[], dict[str, str]], str]] = {
    "a changed field": (lambda: altered("lis_person_contact_email_primary", "eve@uni.example"), "signature"),
    "a wrong signature": (lambda: altered("oauth_signature", "AAAA"), "signature"),
    "no signature": (lambda: altered("oauth_signature", ""), "signature"),
    "a wrong secret": (lambda: signed(LEARNER, secret="guessed"), "signature"),
    "another address": (lambda: signed(LEARNER, "http://127.0.0.1:8910/home"), "signature"),
    "the gateway's own address": (lambda: signed(LEARNER, "https://gateway.example/api/lti_entry"), "signature"),
    "a signature in clear": (lambda: signed(LEARNER, method="PLAINTEXT"), "signature"),
    "an unknown key": (lambda: signed(LEARNER, key="sakai"), "does not know the key"),
    "an old launch": (lambda: signed(LEARNER, age_seconds=301), "too long ago"),
    "a launch from the future": (lambda: signed(LEARNER, age_seconds=-301), "too long ago"),
    "no address": (lambda: signed(LEARNER | {"lis_person_contact_email_primary": " "}), "did not tell your e-mail"),
    "no good address": (lambda: signed(LEARNER | {"lis_person_contact_email_primary": "ada"}), "is none"),
    "no role": (lambda: signed(LEARNER | {"roles": ""}), "neither a learner nor a teacher"),
    "another role": (lambda: signed(LEARNER | {"roles": "urn:lti:role:ims/lis/Mentor"}), "neither a learner"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_a_launch_is_refused_with_its_reason(visitor: Browser, session: Session, case: str) -> None:
    fields, said = REFUSED[case]
    page = launch(visitor, fields())
    assert page.status == 403
    assert said in page.body
    assert session.scalar(select(Visit.id)) is None
    assert session.scalar(select(User.id)) is None
    assert visitor.get("/home").location.startswith("/sign-in")


@pytest.mark.parametrize("name", ["oauth_timestamp", "oauth_nonce", "oauth_consumer_key", "oauth_signature_method"])
@pytest.mark.parametrize("value", [None, "", "ñ" * 300, "12345678901234567890"])
def test_nonsense_is_refused(visitor: Browser, name: str, value: str | None) -> None:
    fields = signed(LEARNER)
    fields = {k: v for k, v in fields.items() if k != name} | ({} if value is None else {name: value})
    assert launch(visitor, fields).status == 403


def test_a_body_that_is_no_form_is_refused(visitor: Browser) -> None:
    body = urlencode(signed(LEARNER)) + "&x=%zz&y=a b"
    assert visitor.request("POST", "/lti_entry", body).status == 403


def test_a_launch_comes_once(visitor: Browser, session: Session, frozen_clock: Clock) -> None:
    fields = signed(LEARNER, nonce="once")
    come_in(visitor, fields)
    frozen_clock.advance(seconds=299)
    stolen = launch(Browser(), fields)
    assert stolen.status == 403
    assert "works once" in stolen.body
    assert come_in(Browser(), signed(LEARNER, nonce="once", key="moodle", secret="s3")).status == 200


def test_nonces_are_forgotten_when_their_launch_is_too_old_anyway(
    visitor: Browser, session: Session, frozen_clock: Clock
) -> None:
    fields = signed(LEARNER, age_seconds=-299)
    launch(visitor, fields)
    frozen_clock.advance(seconds=590)
    due.tidy()
    assert "works once" in launch(visitor, fields).body
    frozen_clock.advance(seconds=20)
    due.tidy()
    assert session.scalar(select(UsedOnce.key)) is None
    assert "too long ago" in launch(visitor, fields).body


def test_a_refusal_leads_back_to_the_lms_and_tells_it_why(visitor: Browser, session: Session) -> None:
    page = launch(visitor, signed(LEARNER | {"lis_person_contact_email_primary": ""}))
    assert f'href="{CANVAS}/courses/1/external?kept=1&amp;lti_errormsg=Your+LMS+did+not+tell' in page.body
    event = session.scalars(select(Event).where(Event.type == "launch_refused")).one()
    assert event.detail == {"reason": "no_email", "consumer_key": "canvas"}


@pytest.mark.parametrize("url", ["javascript:alert(1)", "https://", "//[", "nonsense"])
def test_a_refusal_leads_to_no_other_place(visitor: Browser, url: str) -> None:
    unsigned = launch(visitor, LEARNER | {"launch_presentation_return_url": "https://evil.example"})
    assert "evil.example" not in unsigned.body
    fields = LEARNER | {"roles": "", "launch_presentation_return_url": url}
    assert "Back to your course" not in launch(visitor, signed(fields)).body


def test_a_closed_account_stays_closed(visitor: Browser, session: Session) -> None:
    make_user(session, "ada@uni.example", Role.LEARNER).is_active = False
    session.flush()
    assert "Your account is closed" in launch(visitor, signed(LEARNER)).body


def test_without_credentials_nobody_comes_in(visitor: Browser, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LTI_CREDENTIALS", "")
    settings.cache_clear()
    page = launch(visitor, signed(LEARNER))
    assert page.status == 403
    assert "not connected to an LMS" in page.body


def test_credentials_are_also_read_as_pairs(visitor: Browser, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LTI_CREDENTIALS", "one=s1, two = s=2")
    settings.cache_clear()
    for key, secret in (("one", "s1"), ("two", "s=2")):
        assert come_in(Browser(), signed(LEARNER, key=key, secret=secret)).status == 200


@pytest.mark.parametrize(
    "text",
    ["{", '{"canvas": 5}', '{"canvas": {"secret": ""}}', '{"canvas": {"secret": "x", "origins": "https://a.example"}}'],
)
def test_credentials_that_cannot_be_read_let_nobody_in(
    visitor: Browser, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    monkeypatch.setenv("LTI_CREDENTIALS", text)
    settings.cache_clear()
    assert launch(visitor, signed(LEARNER, secret="x")).status == 403


def test_a_secret_that_was_replaced_is_used_within_five_minutes(
    aws: str, visitor: Browser, monkeypatch: pytest.MonkeyPatch, frozen_clock: Clock
) -> None:
    manager = boto3.client("secretsmanager")
    manager.create_secret(Name="lti-test", SecretString='{"canvas": "old"}')
    monkeypatch.setenv("LTI_CREDENTIALS_SECRET", "lti-test")
    settings.cache_clear()
    secrets.forget()
    assert come_in(visitor, signed(LEARNER, secret="old")).status == 200
    manager.put_secret_value(SecretId="lti-test", SecretString='{"canvas": "new"}')
    assert launch(visitor, signed(LEARNER, secret="new")).status == 403
    frozen_clock.advance(seconds=301)
    assert come_in(visitor, signed(LEARNER, secret="new")).status == 200
    manager.delete_secret(SecretId="lti-test", ForceDeleteWithoutRecovery=True)
    frozen_clock.advance(seconds=301)
    assert come_in(visitor, signed(LEARNER, secret="new")).status == 200
    secrets.forget()


def test_the_newest_launches_are_kept_with_what_they_told(visitor: Browser, session: Session) -> None:
    for number in range(12):
        come_in(visitor, signed(LEARNER | {"resource_link_id": f"link-{number}"}))
    come_in(visitor, signed(LEARNER | {"resource_link_id": "link-5", "context_title": "New"}))
    session_id = session.scalars(select(Visit.id)).one()
    kept = session.scalars(select(Launch).order_by(Launch.id)).all()
    assert {row.resource_link_id for row in kept} == {f"link-{number}" for number in range(2, 12)}
    newest = launches.newest(session, str(session_id))
    assert newest is not None
    assert newest.fields["context_title"] == "New" or newest.resource_link_id == "link-11"
    assert "ext_not_ours" not in newest.fields
    assert not any(name.startswith("oauth") for name in newest.fields)


def test_another_person_at_the_same_browser_gets_a_session_of_their_own(visitor: Browser, session: Session) -> None:
    come_in(visitor, signed(LEARNER))
    page = come_in(
        visitor,
        signed(LEARNER | {"lis_person_contact_email_primary": "bob@uni.example", "lis_person_name_given": "Bob"}),
    )
    assert "Bob Lovelace" in page.body
    assert len(session.scalars(select(Visit.id)).all()) == 2


def test_a_launch_to_any_address_leads_there_first(visitor: Browser, session: Session, user: User) -> None:
    """And is never taken for the form that the address expects."""
    url = "http://127.0.0.1:8910/me?from=lms&x=a%20b"
    arrival = visitor.follow(launch(visitor, signed(LEARNER | {"name": "Eve"}, url), "/me?from=lms&x=a%20b"))
    assert arrival.location == "/me?from=lms&x=a+b"


def test_a_launch_whose_signature_is_wrong_changes_nothing_anywhere(session: Session, user: User) -> None:
    browser = signed_in(session, user)
    fields = LEARNER | {"csrf_token": browser.csrf_token(), "name": "Eve", "time_zone": "UTC"}
    assert launch(browser, fields, "/me").status == 403
    assert "Eve" not in browser.get("/me").body


def test_a_visit_without_a_launch_is_explained(visitor: Browser) -> None:
    page = visitor.get("/lti_entry")
    assert page.status == 403
    assert "open OnTask from your course" in page.body
    assert "open for too long" in visitor.get("/lti_entry", token="nonsense").body


def test_the_stage_of_the_gateway_is_no_part_of_the_address(visitor: Browser, monkeypatch: pytest.MonkeyPatch) -> None:
    from chalicelib.web import urls

    assert urls.public_path("/prod/lti_entry", "/lti_entry") == "/lti_entry"
    assert urls.public_path("/prod/workflows/7/", "/workflows/{workflow_id}") == "/workflows/7/"
    assert urls.public_path("/prod/", "/") == urls.public_path("/prod", "/") == "/"
    monkeypatch.setenv("BASE_URL", "https://x.example/ontask")
    settings.cache_clear()
    assert urls.public_path("/ontask/lti_entry", "/lti_entry") == "/ontask/lti_entry"
