"""The form as its learner fills it in: page by page, kept while it is not sent yet, thanked for in the end.

`show` and `take` are told which learner it is; who that may be, and whether the form is open to them, was found out
before. What they return is drawn by `actions/surveys/_served.html`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from chalicelib import errors
from chalicelib.actions.surveys import answers, sending
from chalicelib.actions.surveys.asking import Asked, Form
from chalicelib.actions.surveys.sending import Sent
from chalicelib.web.request import Values

#: What the buttons of the form ask for; a script asks for DRAFT while somebody types.
SEND, NEXT, BACK, DRAFT = "send", "next", "back", "draft"


@dataclass(frozen=True)
class Shown:
    """One page of the form, from 0 on; `kept_at` says since when it is begun and not sent. `sent`: it is over."""

    pages: Sequence[Sequence[Asked]]
    number: int = 0
    problems: Mapping[str, str] = field(default_factory=dict)
    kept_at: datetime | None = None
    sent: Sent | None = None

    @property
    def page(self) -> Sequence[Asked]:
        """The questions of this page."""
        return self.pages[self.number] if self.pages else []

    @property
    def is_last(self) -> bool:
        """Whether the form is sent from this page."""
        return self.number >= len(self.pages) - 1

    @property
    def is_over(self) -> bool:
        """Whether nothing can be answered: there are no questions now, or all have their answer for good."""
        asked = [one for page in self.pages for one in page if not one.item.is_heading]
        return all(one.is_locked for one in asked)


def show(form: Form, number: int | None = None) -> Shown:
    """Return a page of the form, with what was typed before and not sent; without a number the page they were on."""
    draft = answers.draft(form.session, form.action, form.row_id, form.person)
    pages = form.pages(draft.typed if draft else {})
    wanted = number if number is not None else draft.page if draft else 0
    return Shown(pages, _within(wanted, pages), kept_at=draft.updated_at if draft else None)


def _within(number: int, pages: Sequence[object]) -> int:
    return max(0, min(number, len(pages) - 1))


def take(form: Form, posted: Values, *, is_trial: bool = False) -> Shown:
    """Do what a button of the form asks for, and return what is to be seen then.

    What was typed is kept whatever happens, but for a form that is sent; in a trial no answer is.
    """
    typed = sending.typed_in(posted, form.items)
    number, do = max(0, posted.whole("page") or 0), posted.get("do") or SEND
    draft = answers.draft(form.session, form.action, form.row_id, form.person)
    everything = {**(draft.typed if draft else {}), **typed}
    if do == SEND:
        return _send(form, everything, number, is_trial)
    if do == NEXT:
        pages = form.pages(everything)
        asked = [one.item for one in pages[_within(number, pages)]] if pages else []
        if problems := sending.problems(form, asked, everything):
            answers.keep_draft(form.session, form.action, form.row_id, form.person, typed, number)
            return Shown(pages, _within(number, pages), problems)
    step = {NEXT: 1, BACK: -1}.get(do, 0)
    answers.keep_draft(form.session, form.action, form.row_id, form.person, typed, max(0, number + step))
    return show(form)


def _send(form: Form, typed: Mapping[str, Sequence[str]], number: int, is_trial: bool) -> Shown:
    try:
        return Shown([], sent=sending.send(form, typed, answers.LINK, is_trial=is_trial))
    except errors.Invalid as error:
        answers.keep_draft(form.session, form.action, form.row_id, form.person, typed, number)
        pages = form.pages(typed)
        wrong = (at for at, page in enumerate(pages) if any(one.item.field in error.fields for one in page))
        return Shown(pages, _within(next(wrong, number), pages), error.fields)
