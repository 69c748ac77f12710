"""What the page of a message shows, gathered once: text, names, who gets it, its conditions, one learner's version."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

from sqlalchemy.orm import Session

from chalicelib import errors
from chalicelib.actions import coverage, links, queries
from chalicelib.actions.kinds import KINDS, Channel, Kind
from chalicelib.actions.language import Names, TemplateError, ids_to_names, outdated, rubric
from chalicelib.actions.language.rubric import Criterion
from chalicelib.actions.language.syntax import Output
from chalicelib.actions.language.translate import shows_rubric
from chalicelib.actions.models import Action, Condition
from chalicelib.actions.preview import Audience, Learner
from chalicelib.actions.rubrics import queries as rubrics
from chalicelib.actions.surveys import queries as surveys
from chalicelib.actions.surveys.models import Question
from chalicelib.formulas.check import check
from chalicelib.formulas.columns import ColumnInfo
from chalicelib.formulas.words import words
from chalicelib.tables import queries as tables
from chalicelib.workflows.models import Workflow


@dataclass(frozen=True)
class ConditionLine:
    """A condition in the list; `count` is None and `problem` says why when it can't be run."""

    id: int
    name: str
    description: str
    sentence: str
    count: int | None
    is_used: bool
    problem: str


@dataclass(frozen=True)
class Who:
    """Who gets the message: the filter in words, the counts, the conditions; `problem` when the filter can't be run."""

    sentence: str
    counts: queries.Counts | None
    conditions: list[ConditionLine]
    problem: str


@dataclass
class Editor:
    """One message with all that its page needs; each part is read when somebody asks for it."""

    session: Session
    workflow: Workflow
    action: Action

    @cached_property
    def columns(self) -> dict[int, ColumnInfo]:
        """The columns of the table, by id."""
        return {column.id: tables.info(column) for column in self.table}

    @cached_property
    def table(self) -> list[Any]:
        """The columns of the table with all there is to know of them."""
        return tables.columns(self.session, self.workflow.id)

    @cached_property
    def conditions(self) -> list[Condition]:
        """All conditions of the message."""
        return queries.conditions(self.session, self.action.id)

    @cached_property
    def names(self) -> Names:
        """What the text can speak of."""
        return queries.names(self.columns, self.conditions, self.shared.attributes, self.shared.links)

    @cached_property
    def shared(self) -> links.Shared:
        """The workflow's attributes and its links for learners."""
        return links.read(self.session, self.workflow.id)

    @cached_property
    def questions(self) -> list[Question]:
        """The questions of a form, headings among them, in their order."""
        return surveys.questions(self.session, self.action.id)

    @property
    def fixed(self) -> dict[str, str]:
        """What the text shows to every learner alike, by reference: values of attributes, addresses of links."""
        return self.shared.values

    @property
    def output(self) -> Output:
        """The form of the text."""
        return KINDS[Kind(self.action.kind)].output

    @property
    def text(self) -> str:
        """The text with names, as people write it."""
        return self.written(self.action.text)

    def written(self, stored: str) -> str:
        """Return a stored text with names, as people write it."""
        try:
            return ids_to_names(stored, self.names, self.output)
        except TemplateError:
            return stored

    @cached_property
    def criteria(self) -> list[Criterion]:
        """What the rubric says; nothing when the text shows none."""
        if self.action.kind != Kind.RUBRIC:
            return []
        try:
            return rubrics.said(self.session, self.action.id, self.columns) if shows_rubric(self.action.text) else []
        except TemplateError:
            return []

    @property
    def trouble(self) -> str:
        """Why nobody can get the text as it is: it uses what was deleted or can't be run any more; nothing if none."""
        try:
            if found := outdated(self.action.text, self.names, self.output):
                return f"The text has to be repaired. {found}"
            for criterion in self.criteria:
                for feedback in criterion.feedback.values():
                    if found := outdated(feedback, self.names):
                        return f"The feedback for “{criterion.name}” has to be repaired. {found}"
        except TemplateError as error:
            return error.message
        for one in self.conditions:
            if f"k{one.id}" in self.used and (problem := self.problem_of(one.formula)):
                return f"The condition “{one.name}” can’t be used any more. {problem}"
        return ""

    @property
    def names_data(self) -> dict[str, Any]:
        """Columns, conditions and attributes for the editor in the browser."""
        return {
            "columns": [{"id": one.id, "name": one.name, "type": one.type} for one in self.columns.values()],
            "conditions": [{"id": one.id, "name": self.names.name(f"k{one.id}")} for one in self.conditions],
            "attributes": [{"id": one.id, "name": self.names.name(f"a{one.id}")} for one in self.shared.attributes],
            "links": [
                {"id": one.id, "name": self.names.name(one.reference), "title": one.name} for one in self.shared.links
            ],
            "isForMany": not KINDS[Kind(self.action.kind)].per_learner,
        }

    def problem_of(self, formula: Any) -> str:
        """Say why a stored formula can't be run; nothing when it can."""
        return next(iter(self.problems_of(formula).values()), "")

    def problems_of(self, formula: Any) -> dict[str, str]:
        """Say what is wrong with each rule of a formula, by its place such as "rule 2"; empty when it can be run."""
        if not formula:
            return {}
        try:
            check(formula, self.columns, self.workflow.time_zone)
        except errors.Invalid as error:
            return error.fields or {"formula": error.message}
        return {}

    @cached_property
    def usable(self) -> list[Condition]:
        """The conditions that can be run."""
        return [condition for condition in self.conditions if not self.problem_of(condition.formula)]

    @cached_property
    def audience(self) -> Audience:
        """The learners of the message.

        Using it raises errors.Invalid when the filter can't be run.
        """
        keys = {column.id for column in self.table if column.is_key}
        return Audience(self.session, self.workflow, self.action, self.columns, keys, self.usable, self.used)

    @cached_property
    def reading(self) -> coverage.Reading:
        """The parts of the text, and the values it shows."""
        return coverage.read(self.action.text, self.names, self.output)

    @cached_property
    def coverage(self) -> coverage.Coverage | None:
        """All numbers of the page; None when the filter can't be run."""
        if self.problem_of(self.action.filter):
            return None
        formulas = {condition.id: condition.formula for condition in self.usable}
        return coverage.count(
            self.session, self.workflow, self.columns, self.action.filter, formulas, self.reading
        )  # fmt: skip

    @cached_property
    def who(self) -> Who:
        """Who gets the message."""
        problem = self.problem_of(self.action.filter)
        counts = self.coverage.counts if self.coverage else None
        used = self.used
        lines = [
            ConditionLine(
                one.id, one.name, one.description, words(one.formula, self.columns),
                counts.conditions.get(one.id) if counts else None, f"k{one.id}" in used, self.problem_of(one.formula),
            )
            for one in self.conditions
        ]  # fmt: skip
        return Who(words(self.action.filter, self.columns), counts, lines, problem)

    @cached_property
    def used(self) -> set[str]:
        """The references of the text and, where there are any, of the rubric it shows and of the questions."""
        found = queries.used(self.action) | set(rubric.used(self.criteria))
        if KINDS[Kind(self.action.kind)].channel is Channel.FORM:
            found |= {f"k{one.condition_id}" for one in self.questions if one.condition_id is not None}
        return found

    def count(self, formula: Any, within: Any) -> queries.Counts:
        """Count for how many the formula holds (`conditions[0]`), of those for whom `within` does.

        Raises errors.Invalid when a formula can't be run.
        """
        return queries.counts(self.session, self.workflow, self.columns, within, {0: formula})

    def learner(self, row_id: int | None, *, none_holds: bool = False) -> Learner | None:
        """Return the learner whose version is shown; None when there is nobody or the filter can't be run."""
        if self.problem_of(self.action.filter):
            return None
        return self.audience.learner(row_id, none_holds=none_holds and bool(self.usable))
