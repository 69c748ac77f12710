"""Texts between people and the database: people see names, what is stored refers by id, so renaming breaks nothing.

Only the inside of tags changes; every other character stays as it is. `names_to_ids(ids_to_names(stored))` is
`stored` again.
"""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Mapping, Sequence
from functools import partial

from chalicelib.actions.language.names import Names
from chalicelib.actions.language.parser import parse
from chalicelib.actions.language.syntax import (
    PERSONAL,
    Address,
    Allowed,
    And,
    Branch,
    Feedback,
    Filter,
    If,
    Is,
    Node,
    Not,
    Or,
    Output,
    Reference,
    Table,
    TemplateError,
    Test,
    Text,
    Value,
    has_feedback,
    tested,
)  # fmt: skip
from chalicelib.actions.language.syntax import references as references_of
from chalicelib.actions.language.syntax import tables as tables_of
from chalicelib.actions.language.syntax import values as values_of

#: A name that nobody could misread: it starts and ends with a letter or digit and has no symbol of the language.
_PLAIN = re.compile(r"[^\W_](?:[\w .,:;#$+*/=?@\-]*[\w.#$+?])?")
_WORDS = {"and", "or", "not"}

_Show = Callable[[Reference], str]


def names_to_ids(source: str, names: Names, output: Output = "html", allowed: Allowed = PERSONAL) -> str:
    """Return a text as it is stored, from one that people wrote; `allowed` says which tags it may have.

    Raises TemplateError, with every mistake found and its place in `source`.
    """
    return stored_form(parse(source, names, output, allowed), output)


def ids_to_names(stored: str, names: Names, output: Output = "html") -> str:
    """Return a stored text as people see it; names are quoted where they need it.

    An object that is gone appears as “deleted column 12”, which `names_to_ids` then reports as unknown.
    Raises TemplateError when `stored` is not a stored text.
    """
    return _print(
        parse(stored, None, output), names.name, partial(_quote, names=names), is_html=output == "html", names=names
    )


def stored_form(tree: Sequence[Node], output: Output = "html") -> str:
    """Return a tree as it is stored."""
    return _print(tree, "@{}".format, "@{}".format, is_html=output == "html")


def references(stored: str, output: Output = "html") -> set[Reference]:
    """Return the columns ("c12"), conditions ("k5") and attributes ("a3") a stored text uses.

    Raises TemplateError when `stored` is not a stored text.
    """
    return set(references_of(parse(stored, None, output)))


def tables(stored: str, output: Output = "html") -> list[Table]:
    """Return the tables of a stored text, each once.

    Raises TemplateError when `stored` is not a stored text.
    """
    return list(dict.fromkeys(tables_of(parse(stored, None, output))))


def shows_rubric(stored: str, output: Output = "html") -> bool:
    """Tell whether a stored text shows the feedback of a rubric.

    Raises TemplateError when `stored` is not a stored text.
    """
    return has_feedback(parse(stored, None, output))


def values(stored: str, output: Output = "html") -> set[Reference]:
    """Return the references to what one learner has or everybody shares: all but the columns of tables.

    Raises TemplateError when `stored` is not a stored text.
    """
    return set(values_of(parse(stored, None, output)))


def outdated(stored: str, names: Names, output: Output = "html") -> str:
    """Say in words what a stored text can't use any more: what was deleted, or is no yes/no column now; or nothing.

    Raises TemplateError when `stored` is not a stored text.
    """
    tree = parse(stored, None, output)
    if gone := sorted({names.name(reference) for reference in references_of(tree) if reference not in names}):
        return f"It uses something that is not there any more: {', '.join(gone)}."
    if other := sorted({names.name(reference) for reference in tested(tree) if not names.can_test(reference)}):
        return f"It asks in an if for what is no yes/no column any more: {', '.join(other)}."
    return ""


def renumber(stored: str, others: Mapping[Reference, Reference], output: Output = "html") -> str:
    """Return a stored text that refers to other objects: each reference that is a key of `others` is replaced.

    Raises TemplateError when `stored` is not a stored text.
    """

    def shown(reference: Reference) -> str:
        return f"@{others.get(reference, reference)}"

    return _print(parse(stored, None, output), shown, shown, is_html=output == "html")


def _quote(reference: Reference, names: Names) -> str:
    return f'"{names.name(reference)}"'


def _print(nodes: Sequence[Node], bare: _Show, quoted: _Show, *, is_html: bool, names: Names | None = None) -> str:
    return "".join(_Printer(bare, quoted, names, is_html=is_html).pieces(nodes))


class _Printer:
    """Writes a tree as text: names bare where that is read as the same thing again, quoted elsewhere."""

    def __init__(self, bare: _Show, quoted: _Show, names: Names | None, *, is_html: bool) -> None:
        self._bare = bare
        self._quoted = quoted
        self._names = names
        self._is_html = is_html

    def pieces(self, nodes: Sequence[Node]) -> list[str]:
        found: list[str] = []
        for node in nodes:
            match node:
                case Text():
                    found.append(node.text)
                case Address():
                    found += self.pieces(node.parts)
                case Value():
                    found.append(self._value(node))
                case If():
                    found += self._if(node)
                case Table():
                    found.append(self._escape(self._table(node), None))
                case Feedback():
                    found.append("{% rubric %}")
        return found

    def _escape(self, text: str, attribute: str | None) -> str:
        return html.escape(text, quote=False).replace('"', "&quot;" if attribute else '"') if self._is_html else text

    def _value(self, node: Value) -> str:
        steps = "".join(map(_filter, node.filters))
        text = f"{{{{ {self._bare(node.reference)}{steps} }}}}"
        if self._names and not self._reads_as(text, [self._names.name(node.reference)], _alone(node)):
            text = f"{{{{ {self._quoted(node.reference)}{steps} }}}}"
        return self._escape(text, node.attribute)

    def _table(self, node: Table) -> str:
        text = f"{{% table {', '.join(map(self._quoted, node.columns))}"
        if node.sort:
            text += f" sort: {self._quoted(node.sort)}{' descending' if node.is_descending else ''}"
        return f"{text}{f' max: {node.most}' if node.most else ''} %}}"

    def _if(self, node: If) -> list[str]:
        found: list[str] = []
        for i, branch in enumerate(node.branches):
            found.append(self._escape(f"{{% {'elif' if i else 'if'} {self._test(branch.test)} %}}", node.attribute))
            found += self.pieces(branch.body)
        if node.otherwise is not None:
            found += ["{% else %}", *self.pieces(node.otherwise)]
        return [*found, "{% endif %}"]

    def _test(self, test: Test) -> str:
        text = _words(test, self._bare)
        if self._names:
            used = [self._names.name(reference) for reference in references_of([_if_only(test)])]
            if not self._reads_as(f"{{% if {text} %}}{{% endif %}}", used, _if_only(test)):
                text = _words(test, self._quoted)
        return text

    def _reads_as(self, text: str, used: Sequence[str], meant: Node) -> bool:
        if not all(_PLAIN.fullmatch(name) and "  " not in name and not _WORDS & _lower(name) for name in used):
            return False
        try:
            return parse(text, self._names, "text") == (meant,)
        except TemplateError:
            return False


def _alone(node: Value) -> Value:
    return Value(node.reference, node.filters)


def _if_only(test: Test) -> If:
    return If((Branch(test, ()),))


def _lower(name: str) -> set[str]:
    return set(name.lower().split())


def _filter(step: Filter) -> str:
    shown = (f'"{argument}"' if isinstance(argument, str) else str(argument) for argument in step.arguments)
    arguments = ", ".join(shown)
    return f" | {step.name}: {arguments}" if arguments else f" | {step.name}"


def _words(test: Test, show: _Show) -> str:
    match test:
        case Is():
            return show(test.reference)
        case Not():
            inner = _words(test.test, show)
            return f"not ({inner})" if isinstance(test.test, And | Or) else f"not {inner}"
        case And():
            return " and ".join(
                f"({_words(part, show)})" if isinstance(part, And | Or) else _words(part, show) for part in test.tests
            )
        case Or():
            return " or ".join(
                f"({_words(part, show)})" if isinstance(part, Or) else _words(part, show) for part in test.tests
            )
