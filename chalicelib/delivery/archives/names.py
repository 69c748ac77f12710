"""What the files are called, and what goes into them: one SELECT, so that name and content are of the same row."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Session

from chalicelib import errors
from chalicelib.actions.preview import FULL_NAMES, name_columns
from chalicelib.delivery.audience import BLANKS, object_of
from chalicelib.delivery.order import Sendable
from chalicelib.delivery.sources import DraftText, SourceColumn, Sources
from chalicelib.formulas.sql import condition, learners
from chalicelib.tables.downloads import plain_name
from chalicelib.workflows.models import Workflow

SUFFIX = "feedback.html"
MAX_SUFFIX_LENGTH = 40
#: By this Moodle knows to which assignment a file belongs, see "Multiple feedback files" in its documentation.
MOODLE_MARK = "_assignsubmission_file_"
#: How Moodle's grading worksheet calls a learner, and the column in which it does.
PARTICIPANT, MOODLE_COLUMN = r"Participant\s+([0-9]{1,18})(?![0-9])", "identifier"
#: Signs that some system refuses in the name of a file; the list is that of Windows, the strictest.
_REFUSED = r'[\u0001-\u001f\u007f/\\:*?"<>|]+'
#: Names that Windows keeps for devices, whatever follows the dot.
_DEVICES = r"^(con|prn|aux|nul|com[0-9]|lpt[0-9])\."
#: A number that tells equal names apart is written like this.
_NUMBERED = r" \([0-9]+\)$"
#: Names of files have at most 255 bytes: a part keeps 60 signs, or 25 where they are long (4 bytes each at most).
_LONG, _SHORT, _LONG_BYTES = 60, 25, 100
#: Names in the list of those that were changed.
MAX_LISTED = 20


@dataclass(frozen=True, kw_only=True)
class Wish:
    """What somebody asks for: the columns that make the names, who is left out, and whether there are PDFs, too."""

    first: int | None = None
    second: int | None = None
    suffix: str = ""
    for_moodle: bool = False
    with_pdf: bool = False
    skip_rows: tuple[int, ...] = ()

    @property
    def end(self) -> tuple[str, str]:
        """The end of every name: what stands before the last dot, and the dot with what follows."""
        plain = plain_name(self.suffix)[:MAX_SUFFIX_LENGTH] or SUFFIX
        stem, dot, ending = plain.rpartition(".")
        return (stem, dot + ending) if stem and ending.lower() in {"html", "htm"} else (plain, ".html")


@dataclass(frozen=True)
class Named:
    """A file whose name needs a look."""

    values: str
    name: str


@dataclass(frozen=True)
class Look:
    """What the names come to: how many files, and the first of those that can't be made or are called otherwise."""

    files: int
    bad: int
    changed: int
    numbered: int
    bad_ones: list[Named]
    changed_ones: list[Named]
    numbered_ones: list[Named]
    example: str

    @property
    def needs_eyes(self) -> bool:
        """Whether somebody should see this before the files are made."""
        return bool(self.changed or self.numbered)


def pdf_name(name: str) -> str:
    """Return what the PDF beside a page is called."""
    return name.rpartition(".")[0] + ".pdf"


def first_wish(columns: Mapping[int, SourceColumn], key: int | None) -> Wish:
    """Return what the form begins with: Moodle's columns where the table has them, else the key and a name."""
    named = {column.name.strip().lower(): column.id for column in columns.values()}
    full = next((named[name] for name in FULL_NAMES if name in named), None)
    if MOODLE_COLUMN in named and full is not None:
        return Wish(first=named[MOODLE_COLUMN], second=full, for_moodle=True)
    called = name_columns(columns)
    return Wish(first=key, second=called[0].id if called and called[0].id != key else None)


def check(columns: Mapping[int, SourceColumn], wish: Wish) -> None:
    """Raise errors.Invalid, with a message for each field, for what can't be made whatever the values are."""
    problems: dict[str, str] = {}
    if wish.first not in columns:
        problems["first"] = "Choose the column that the names begin with."
    if wish.second is not None and wish.second not in columns:
        problems["second"] = "This column is gone. Choose another one."
    elif wish.second is not None and wish.second == wish.first:
        problems["second"] = "This is the same column. Choose another one, or none."
    if wish.for_moodle and wish.second is None:
        problems["second"] = "Moodle needs the full name: choose its column."
    if len(wish.suffix) > MAX_SUFFIX_LENGTH:
        problems["suffix"] = f"Use at most {MAX_SUFFIX_LENGTH} characters; this has {len(wish.suffix)}."
    if problems:
        raise errors.Invalid("Some fields need another look.", problems)


def look(session: Session, workflow: Workflow, action: Sendable, found: Sources, wish: Wish) -> Look:
    """Return what the names come to.

    Raises errors.Invalid as `check` does, and when the filter can't be run.
    """
    made = files(workflow, action, found, wish)
    numbers = [sa.func.count().filter(made.c[f"is_{name}"]).label(name) for name in ("bad", "changed", "numbered")]
    counted = session.execute(sa.select(sa.func.count().label("files"), *numbers)).one()

    def listed(which: sa.ColumnElement[bool]) -> list[Named]:
        values = sa.func.concat_ws(", ", sa.func.nullif(made.c.first, ""), sa.func.nullif(made.c.second, ""))
        chosen = sa.select(values, made.c.name).where(which).order_by(made.c.row_id).limit(MAX_LISTED)
        return [Named(row[0], row[1]) for row in session.execute(chosen)]

    example = session.scalar(sa.select(made.c.name).where(sa.not_(made.c.is_bad)).order_by(made.c.row_id).limit(1))
    return Look(
        **counted._mapping,
        bad_ones=listed(made.c.is_bad) if counted.bad else [],
        changed_ones=listed(made.c.is_changed & sa.not_(made.c.is_bad)) if counted.changed else [],
        numbered_ones=listed(made.c.is_numbered & sa.not_(made.c.is_bad)) if counted.numbered else [],
        example=example or "",
    )  # fmt: skip


def files(
    workflow: Workflow, action: Sendable, found: Sources, wish: Wish, draft: DraftText | None = None
) -> sa.Subquery:  # fmt: skip
    """Return a row for each file: row_id, name, what is wrong with it, and what its text is made of (for a draft).

    Raises errors.Invalid as `check` does, and when a formula can't be run.
    """
    check(found.columns, wish)
    table = learners(workflow.id, found.columns)
    conditions = [
        (f"k{item['id']}", condition(item["formula"], found.columns, table, workflow.time_zone))
        for item in (draft.conditions if draft else [])
    ]
    picked = _once(
        sa.select(
            table.c.row_id,
            _typed(table, wish.first).label("first"),
            _typed(table, wish.second).label("second"),
            object_of([(f"c{key}", table.c[f"c{key}"]) for key in (draft.value_ids if draft else [])]).label("values"),
            object_of(conditions).label("flags"),
        )
        .where(condition(action.filter, found.columns, table, workflow.time_zone))
        .where(table.c.row_id != sa.func.all(sa.literal(list(wish.skip_rows), ARRAY(sa.BigInteger))))
    )
    return _numbered(_stems(picked, wish), wish.end[1])


def _once(chosen: sa.Select[Any]) -> sa.Subquery:
    """Have each expression worked out once a row: without OFFSET they would be copied to wherever they are used."""
    return chosen.offset(sa.literal_column("0")).subquery()


def _typed(table: sa.TableClause, column_id: int | None) -> sa.ColumnElement[str]:
    if column_id is None:
        return sa.literal("", sa.Text)
    value = sa.cast(table.c[f"c{column_id}"], sa.Text)
    return sa.func.normalize(sa.func.btrim(sa.func.coalesce(value, ""), BLANKS), sa.text("NFC"))


def _part(value: sa.ColumnElement[str]) -> sa.ColumnElement[str]:
    """Return a value as part of a file's name."""
    plain = sa.func.btrim(sa.func.regexp_replace(value, _REFUSED, "-", "g"), ". ")
    is_short = sa.func.octet_length(sa.func.left(plain, _LONG)) <= _LONG_BYTES
    return sa.func.btrim(sa.case((is_short, sa.func.left(plain, _LONG)), else_=sa.func.left(plain, _SHORT)), ". ")


def _stems(whole: sa.Subquery, wish: Wish) -> sa.Subquery:
    picked = _once(
        sa.select(*whole.c, _part(whole.c.first).label("first_part"), _part(whole.c.second).label("second_part"))
    )
    first, second = picked.c.first_part, picked.c.second_part
    is_changed = first != picked.c.first
    parts: list[Any] = [sa.case((first == "", sa.func.concat("row ", picked.c.row_id)), else_=first)]
    is_bad: sa.ColumnElement[bool] = sa.false()
    if wish.second is not None:
        is_changed = is_changed | (second != picked.c.second)
        parts.append(sa.func.nullif(second, ""))  # a learner without the second value has no second underscore
    parts.append(wish.end[0])
    stem = sa.func.concat_ws("_", *parts)
    if wish.for_moodle:
        digits = sa.func.substring(picked.c.first, PARTICIPANT)
        is_bad = digits.is_(None) | (second == "")
        is_changed = second != picked.c.second
        stem = sa.func.concat(second, "_", digits, MOODLE_MARK, wish.end[0])
    else:
        is_changed = is_changed | (picked.c.first == "")
    safe = sa.case((stem.regexp_match(_DEVICES, flags="i"), sa.func.concat("_", stem)), else_=stem)
    columns = [safe.label("stem"), is_bad.label("is_bad"), is_changed.label("is_changed")]
    return _once(sa.select(*picked.c, *columns))


def _numbered(stems: sa.Subquery, ending: str) -> sa.Subquery:
    """Return the files with names of which no two are equal, in whatever case of letters.

    Names that look numbered already are numbered, too: so no made one can meet one that was there.
    """
    number = sa.func.row_number().over(partition_by=sa.func.lower(stems.c.stem), order_by=stems.c.row_id)
    looks = stems.c.stem.regexp_match(_NUMBERED)
    numbered = sa.select(*stems.c, number.label("number"), looks.label("looks")).subquery("numbered")
    is_numbered = (numbered.c.number > 1) | numbered.c.looks
    name = sa.case(
        (is_numbered, sa.func.concat(numbered.c.stem, " (", numbered.c.number, ")", ending)),
        else_=sa.func.concat(numbered.c.stem, ending),
    )
    return sa.select(*numbered.c, name.label("name"), is_numbered.label("is_numbered")).subquery("files")


def pieces(session: Session, made: sa.Subquery, each: int = 500) -> Sequence[Any]:
    """Return name, values and flags of each file, the last two as JSON; few at a time are in memory."""
    chosen = sa.select(
        made.c.name, sa.cast(made.c["values"], sa.Text).label("values"), sa.cast(made.c.flags, sa.Text).label("flags")
    ).order_by(made.c.row_id)  # fmt: skip
    return session.execute(chosen, execution_options={"yield_per": each})  # type: ignore[return-value]
