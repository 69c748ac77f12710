"""The kinds of actions: what each is for, what it writes, and where it goes. One table, read by pages and by runs."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from chalicelib.actions.language.syntax import PERSONAL, Allowed, Output
from chalicelib.settings import settings


class Kind(StrEnum):
    """Fixed when an action is made; the value is stored."""

    TEXT = "personalised_text"
    RUBRIC = "rubric_text"
    REPORT = "email_report"
    JSON = "personalised_json"
    JSON_REPORT = "json_report"
    SURVEY = "survey"
    TODO = "todo_list"


class Channel(StrEnum):
    """How what an action writes reaches others; forms are filled in instead."""

    MAIL = "mail"
    PUSH = "push"
    FORM = "form"


@dataclass(frozen=True)
class Traits:
    """What can be done with the actions of a kind.

    `noun` is what people call one; `output` the form of its text, `allows` the tags that it may have. `per_learner`:
    one piece for every learner, not one for all of them. `has_conditions`: parts or questions of it depend on
    conditions. `is_served`: learners can open theirs by a link. `has_zip`: all pieces can be had as files.
    """

    noun: str
    icon: str
    sentence: str
    channel: Channel
    output: Output = "html"
    allows: Allowed = PERSONAL
    per_learner: bool = True
    has_conditions: bool = True
    is_served: bool = False
    has_zip: bool = False

    @property
    def title(self) -> str:
        """The noun as a label."""
        return self.noun[:1].upper() + self.noun[1:]


_OF_A_REPORT = Allowed(per_learner=False, tables=True)

KINDS: dict[Kind, Traits] = {
    Kind.TEXT: Traits(
        "message", "mail", "One text; every learner gets the version that fits, by mail or on a page.",
        Channel.MAIL, is_served=True, has_zip=True,
    ),
    Kind.RUBRIC: Traits(
        "rubric feedback", "rubric", "Levels reached in each criterion become a text for every learner.",
        Channel.MAIL, is_served=True, has_zip=True, allows=Allowed(rubric=True),
    ),
    Kind.REPORT: Traits(
        "report", "report", "One mail to you or colleagues, with tables of the learners and files.",
        Channel.MAIL, per_learner=False, has_conditions=False, allows=_OF_A_REPORT,
    ),
    Kind.SURVEY: Traits(
        "survey", "survey", "Questions that learners, or you for them, answer into the table.",
        Channel.FORM, is_served=True,
    ),
    Kind.TODO: Traits(
        "to-do list", "todo", "Items that learners tick off.", Channel.FORM, is_served=True,
    ),
    Kind.JSON: Traits(
        "personal JSON", "braces", "An object for every learner, sent to another system.",
        Channel.PUSH, output="json",
    ),
    Kind.JSON_REPORT: Traits(
        "JSON report", "braces", "One object about all learners, sent to another system.",
        Channel.PUSH, output="json", per_learner=False, has_conditions=False, allows=_OF_A_REPORT,
    ),
}  # fmt: skip


SWITCHED_OFF = "Actions of this kind are switched off in this installation: it can be read and changed, but not sent."


def offered() -> list[Kind]:
    """Return the kinds that can be made in this installation, in the order in which they are offered."""
    off = {name.strip() for name in settings().disabled_kinds.split(",")}
    return [kind for kind in KINDS if kind.value not in off]
