"""Rendering 10,000 messages with 8 fields and 10 conditions, against a bare compiled Jinja2 template over dicts."""

from __future__ import annotations

from typing import Any

from jinja2 import Environment

from bench.harness import Result, at_most, paired

MESSAGES = 10_000
FIELDS, CONDITIONS = 8, 10


def measure() -> list[Result]:
    """Return the one figure; both render the same text to the same HTML."""
    from chalicelib.actions.language.compile import compile_template

    values = "".join(f"<p>Field {n}: {{{{ @c{n} }}}}</p>" for n in range(1, FIELDS + 1))
    choices = "".join(
        f"<p>{{% if @k{n} %}}Well done, go on like this.{{% else %}}Please try harder.{{% endif %}}</p>"
        for n in range(1, CONDITIONS + 1)
    )
    stored = values + choices
    contexts: list[dict[str, Any]] = [
        {
            **{f"c{n}": (row * n) % 101 if n % 2 else f"text {row} & {n}" for n in range(1, FIELDS + 1)},
            **{f"k{n}": (row + n) % 3 == 0 for n in range(1, CONDITIONS + 1)},
        }
        for row in range(MESSAGES)
    ]
    ours = compile_template(stored, "html")
    bare = Environment(autoescape=True).from_string(stored.replace("@", ""))
    assert ours.render(contexts[1]) == bare.render(contexts[1])

    def render_ours() -> None:
        for context in contexts:
            ours.render(context)

    def render_bare() -> None:
        for context in contexts:
            bare.render(context)

    return [at_most("render 10k messages", *paired(render_ours, render_bare), limit=1.3)]
