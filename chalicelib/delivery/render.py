"""From a run's text and one message's values to subject, HTML and plain text. Compiled once per run and batch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from html import escape
from typing import Any, Protocol

from chalicelib.accounts import personal_links
from chalicelib.actions.language.formats import Formats
from chalicelib.actions.reports.rows import thawed
from chalicelib.delivery.details import criteria, plain_criteria
from chalicelib.delivery.plain import plain_source, tidy
from chalicelib.web.urls import absolute_url_for, path_for

#: RFC 5322 §2.1.1 folds long lines, but no mail program shows more of a subject than this.
MAX_SUBJECT_CHARACTERS = 998
_SERVED = "actions.show_served"


@dataclass(frozen=True)
class Rendered:
    """One learner's mail, without the traces of tracking."""

    subject: str
    html: str
    text: str


class Written(Protocol):
    """What is needed of a run to render its messages."""

    @property
    def subject(self) -> str:
        """The subject by ids."""

    @property
    def text(self) -> str:
        """The HTML by ids."""

    @property
    def value_types(self) -> Mapping[str, Any]:
        """The type of each value, by "c12"."""

    @property
    def attributes(self) -> Mapping[str, Any]:
        """The values that are the same for everybody, by "a3", and the tokens of links for learners, by "m7"."""

    @property
    def details(self) -> dict[str, Any]:
        """What only runs of its kind need, and how values are shown."""

    @property
    def time_zone(self) -> str:
        """The zone that times are shown in."""


class Renderer:
    """Renders the messages of one run. Making one raises errors.Invalid for a text that can't be used."""

    def __init__(self, run: Written) -> None:
        from chalicelib.actions.language.compile import compile_template

        formats = Formats.of(run.details.get("formats"))
        self._subject = compile_template(run.subject, "text", time_zone=run.time_zone, formats=formats)
        rubric, plain_rubric = criteria(run.details), plain_criteria(run.details)
        self._html = compile_template(
            run.text, "html", time_zone=run.time_zone, criteria=rubric, formats=formats
        )  # fmt: skip
        self._text = compile_template(
            plain_source(run.text), "text", time_zone=run.time_zone, criteria=plain_rubric, formats=formats
        )  # fmt: skip
        self._tables: dict[str, Any] = run.details.get("tables", {})
        self._links = [(file["label"], file["url"]) for file in run.details.get("files", []) if "url" in file]
        self._fixed = fixed(run.attributes)
        self._own = {key: path_for(_SERVED, token=token) for key, token in run.attributes.items() if key[0] == "m"}
        self._convert = {name: convert for name, kind in run.value_types.items() if (convert := CONVERTERS.get(kind))}

    def render(self, values: Mapping[str, Any], flags: Mapping[str, Any], *, only_for: str = "") -> Rendered:
        """Return the mail made of a message's frozen values and flags.

        `only_for` is the address of whoever alone will read it: its links for learners are that person's own. Raises
        errors.Invalid when it gets too long.
        """
        context = self._context(values, flags)
        if only_for:
            context |= {key: personal_links.address(only_for, path) for key, path in self._own.items()}
        subject = " ".join(self._subject.render(context).split())[:MAX_SUBJECT_CHARACTERS]
        shown, plain = self._html.render(context), tidy(self._text.render(context))
        if self._links:
            items = "".join(f'<li><a href="{escape(url)}">{escape(name)}</a></li>' for name, url in self._links)
            shown += f"<p>Files:</p><ul>{items}</ul>"
            plain += "\n\nFiles:\n" + "\n".join(f"- {name}: {url}" for name, url in self._links)
        return Rendered(subject, shown, plain)

    def page(self, values: Mapping[str, Any], flags: Mapping[str, Any]) -> str:
        """Return only the HTML.

        Raises errors.Invalid when it gets too long.
        """
        return self._html.render(self._context(values, flags))

    def _context(self, values: Mapping[str, Any], flags: Mapping[str, Any]) -> dict[str, Any]:
        context = {**self._fixed, **values, **flags}
        for name, convert in self._convert.items():
            if context.get(name) is not None:
                context[name] = convert(context[name])
        for key, about in self._tables.items():
            context[key] = thawed(values.get(key, []), about["names"], about["types"])
        return context


def fixed(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a text shows to everybody: values of attributes, addresses of links."""
    return {
        key: absolute_url_for(_SERVED, token=value) if key[0] == "m" else value for key, value in attributes.items()
    }


# JSON has one kind of number and no times; texts are shown by the column's type.
CONVERTERS: dict[str, Any] = {"double": float, "datetime": datetime.fromisoformat}
