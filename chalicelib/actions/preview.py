"""One learner's version of a message: who they are, which conditions hold, what they read."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from chalicelib import errors
from chalicelib.actions import queries
from chalicelib.actions.language.filters import shown, zone
from chalicelib.actions.language.formats import Formats
from chalicelib.actions.language.rubric import Criterion
from chalicelib.actions.language.syntax import Reference
from chalicelib.actions.models import Action, Condition
from chalicelib.formulas.check import Columns
from chalicelib.formulas.columns import ColumnInfo
from chalicelib.formulas.sql import condition as to_sql
from chalicelib.formulas.sql import flags_select, learners
from chalicelib.workflows.models import Workflow

#: Column names, in lower case, by which people are called: the first that is there, or a first and a last name.
FULL_NAMES = ("name", "full name", "full_name", "fullname", "student name", "student", "learner")
FIRST_NAMES = ("first name", "first_name", "firstname", "given name", "given_name", "given names", "forename")
LAST_NAMES = ("last name", "last_name", "lastname", "surname", "family name", "family_name")
#: Learners listed beside a rule or found by a search.
MAX_LISTED = 10
MAX_SEARCH_LENGTH = 200
#: The frame around a learner's version: what mail programs do with a text that says nothing of its own looks.
PAGE = (
    '<!doctype html><html><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
    '<base target="_blank"><style>body{{font:16px/1.5 system-ui,sans-serif;margin:1rem;color:#1b1d24;'
    "background:#fff;overflow-wrap:anywhere}}img{{max-width:100%}}</style><title>{}</title></head>"
    "<body>{}</body></html>"
)


@dataclass(frozen=True)
class Named:
    """A learner in a list: what they are called, the value of the first key, and whether the message is for them."""

    row_id: int
    name: str
    key: str
    is_selected: bool = True


@dataclass(frozen=True)
class Learner:
    """A learner whose version is shown, and the way to the others.

    `position` counts from 1 among `total` learners, 0 when this one is not among them; `flags` maps the id of a
    condition to whether it holds, `values` are those the text and the conditions speak of, as people read them.
    """

    row_id: int
    name: str
    key: str
    is_selected: bool
    position: int
    total: int
    previous: int
    following: int
    flags: dict[int, bool]
    values: list[tuple[str, str]]
    context: dict[str, Any]


class Audience:
    """The learners of a message. Raises errors.Invalid when a formula can't be run any more."""

    def __init__(
        self, session: Session, workflow: Workflow, action: Action, columns: Columns, keys: Collection[int],
        conditions: Sequence[Condition], used: Collection[Reference],
    ) -> None:  # fmt: skip
        self._used = used
        self._session, self._workflow, self._action = session, workflow, action
        self._columns, self._conditions = columns, conditions
        self._table = learners(workflow.id, columns)
        self._key = next((column for column in columns.values() if column.id in keys), None)
        self._names = name_columns(columns)
        self._keys = keys
        self._own = {f"c{key}" for key in columns}

    def learner(self, row_id: int | None = None, *, none_holds: bool = False) -> Learner | None:
        """Return the learner of the row, or the first one; None when there is nobody.

        With `none_holds` the way leads through those only for whom no condition holds.
        """
        if self._workflow.row_count is None:
            return None
        found = self._found(row_id, none_holds=none_holds)
        if found["row_id"] is None and row_id is not None:  # that row is gone
            found = self._found(None, none_holds=none_holds)
        return None if found["row_id"] is None else self._learner(found)

    def alone(self, row_id: int) -> Learner | None:
        """Return the learner of the row without the way to others, which would read the whole table; None if gone."""
        found = self._session.execute(self._flags().where(sa.column("row_id") == row_id)).one_or_none()
        nowhere: dict[str, Any] = dict.fromkeys(("first", "last", "previous", "following"))
        known = {**nowhere, "total": 0, "position": 0, "is_among": False}
        return None if found is None else self._learner({**known, **found._asdict()})

    def _learner(self, found: Mapping[str, Any]) -> Learner:
        flags = {condition.id: bool(found[f"k{condition.id}"]) for condition in self._conditions}
        values = {name: found[name] for name in found if name in self._own or name in {"row_id", "filter"}}
        return Learner(
            row_id=found["row_id"], name=self.called(values), key=self._key_of(values),
            is_selected=bool(found["filter"]), position=found["position"] if found["is_among"] else 0,
            total=found["total"], previous=found["previous"] or found["last"] or 0,
            following=found["following"] or found["first"] or 0, flags=flags, values=self._shown(values),
            context={**values, **{f"k{k}": v for k, v in flags.items()}},
        )  # fmt: skip

    def matching(self, formula: Any, *, within: Any = None, limit: int = MAX_LISTED) -> list[Named]:
        """Return the first learners for whom the formula holds, of those for whom `within` does."""
        if self._workflow.row_count is None:
            return []
        return self._listed(sa.and_(self._sql(formula), self._sql(within)), sa.true(), limit)

    def search(self, text: str) -> list[Named]:
        """Return the first learners with the text in a key or any text column, also those who don't get the message.

        Letters are compared without case and accents, as on the page of the table.
        """
        if self._workflow.row_count is None or not text.strip():
            return []
        searched = [column for column in self._columns.values() if column.type == "text" or column.id in self._keys]
        # A subquery, as it would be computed for each row otherwise.
        needle = sa.select(_plain(sa.literal(text.strip()[:MAX_SEARCH_LENGTH]))).scalar_subquery()
        parts = [sa.func.strpos(_plain(self._table.c[f"c{column.id}"]), needle) > 0 for column in searched]
        return self._listed(sa.or_(sa.false(), *parts), self._sql(self._action.filter), MAX_LISTED)

    def _sql(self, formula: Any) -> sa.ColumnElement[bool]:
        return to_sql(formula, self._columns, self._table, self._workflow.time_zone)

    def _listed(
        self, which: sa.ColumnElement[bool], selected: sa.ColumnElement[bool], limit: int
    ) -> list[Named]:  # fmt: skip
        shown_columns = {column.id for column in [*self._names, *([self._key] if self._key else [])]}
        query = (
            sa.select(
                self._table.c.row_id,
                selected.label("filter"),
                *(self._table.c[f"c{key}"] for key in shown_columns),
            )
            .where(which)
            .order_by(self._table.c.row_id)
            .limit(limit)
        )
        rows = [dict(row._mapping) for row in self._session.execute(query)]
        return [Named(row["row_id"], self.called(row), self._key_of(row), row["filter"]) for row in rows]

    def _found(self, row_id: int | None, *, none_holds: bool) -> Mapping[str, Any]:
        """Return the row with its conditions, where it is among those of the audience, and who is around it.

        None means the first one; `row_id` is None in what is returned when there is no such row.
        """
        step, own = self._step(row_id, none_holds=none_holds).subquery("step"), self._flags().subquery("own")
        wanted = step.c.first if row_id is None else sa.literal(row_id, sa.BigInteger)
        query = sa.select(step, own).select_from(step.outerjoin(own, own.c.row_id == wanted))
        return dict(self._session.execute(query).one()._asdict())

    def _step(self, row_id: int | None, *, none_holds: bool) -> Any:
        id_ = self._table.c.row_id
        who = [self._sql(self._action.filter)]
        if none_holds:
            who += [sa.not_(self._sql(condition.formula)) for condition in self._conditions]
        here: sa.ColumnElement[int] = sa.literal(row_id, sa.BigInteger)
        if row_id is None:
            here = sa.select(sa.func.min(id_)).where(*who).select_from(self._table).scalar_subquery()
        query = sa.select(
            sa.func.count().label("total"),
            sa.func.min(id_).label("first"),
            sa.func.max(id_).label("last"),
            sa.func.count().filter(id_ <= here).label("position"),
            sa.func.max(id_).filter(id_ < here).label("previous"),
            sa.func.min(id_).filter(id_ > here).label("following"),
            sa.func.coalesce(sa.func.bool_or(id_ == here), sa.false()).label("is_among"),
        ).where(*who)
        return query.select_from(self._table)

    def _flags(self) -> sa.Select[Any]:
        formulas = {condition.id: condition.formula for condition in self._conditions}
        return flags_select(
            self._workflow.id, self._columns, self._action.filter, formulas, self._workflow.time_zone
        )  # fmt: skip

    def called(self, values: Mapping[str, Any]) -> str:
        """Return what the learner of a row is called."""
        parts = [str(values[f"c{column.id}"] or "").strip() for column in self._names]
        return " ".join(filter(None, parts)) or self._key_of(values)

    def _key_of(self, values: Mapping[str, Any]) -> str:
        value = None if self._key is None else values[f"c{self._key.id}"]
        return f"row {values['row_id']}" if value is None else str(value)

    def _shown(self, values: Mapping[str, Any]) -> list[tuple[str, str]]:
        wanted = queries.columns_of(self._action, self._conditions, self._used)
        place = zone(self._workflow.time_zone) or zone("UTC")
        assert place is not None, "UTC is always there"
        return [
            (column.name, shown(values[f"c{column.id}"], place))
            for column in self._columns.values()
            if column.id in wanted
        ]


def _plain(value: sa.ColumnElement[Any]) -> sa.ColumnElement[str]:
    return sa.func.lower(sa.func.unaccent(sa.cast(value, sa.Text)))


def name_columns(columns: Columns) -> list[ColumnInfo]:
    """Return the columns by which people are called, at most a first and a last name; none when there are none."""
    texts = {column.name.lower(): column for column in reversed(list(columns.values())) if column.type == "text"}
    for names in (FULL_NAMES, FIRST_NAMES):
        found = next((texts[name] for name in names if name in texts), None)
        if found is not None:
            last = next((texts[name] for name in LAST_NAMES if name in texts), None)
            return [found, last] if last is not None and names is FIRST_NAMES else [found]
    return []


def page(
    workflow: Workflow, action: Action, learner: Learner, fixed: Mapping[str, str],
    criteria: Sequence[Criterion] = (), *, mark: Callable[[str], str] | None = None,
) -> str:  # fmt: skip
    """Return the learner's version as a page of its own; `fixed` are the values that are the same for everybody.

    With `mark`, which names a column, missing values are marked. Raises errors.Invalid when the text can't be used, or
    would be too long for this learner.
    """
    from chalicelib.actions.language.compile import compile_template

    compiled = compile_template(
        action.text, "html", time_zone=workflow.time_zone, criteria=criteria, mark=mark,
        formats=Formats.of(workflow.formats),
    )  # fmt: skip
    return PAGE.format("The message", compiled.render({**fixed, **learner.context}))


def subject(workflow: Workflow, action: Action, learner: Learner, fixed: Mapping[str, str]) -> str:
    """Return the subject as the learner would get it, from the last form to send; nothing while there is none."""
    from chalicelib.actions.language.compile import compile_template

    stored = action.send_defaults.get("subject", "")
    try:
        compiled = compile_template(
            stored, "text", time_zone=workflow.time_zone, formats=Formats.of(workflow.formats)
        )  # fmt: skip
        return " ".join(compiled.render({**fixed, **learner.context}).split())
    except errors.Invalid:  # the form to send says what is wrong with it
        return ""
