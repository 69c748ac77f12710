"""Rendering 10,000 messages with 8 fields and 10 conditions, against a bare compiled Jinja2 template over dicts.

Also against what OnTask 11 does with the same message on the same kind of machine.
"""

from __future__ import annotations

from typing import Any

from jinja2 import Environment

from bench.harness import Result, at_most, paired

MESSAGES = 10_000
FIELDS, CONDITIONS = 8, 10
#: Messages a second of OnTask 11, measured with this message on two cores.
ORIGINAL = 566
AT_LEAST_TIMES = 20


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

    figure, other = paired(render_ours, render_bare)
    speed = MESSAGES / figure
    return [
        at_most("render 10k messages", figure, other, limit=1.3),
        Result("render, against OnTask 11", round(speed), "messages/s", ORIGINAL, round(speed / ORIGINAL, 1),
               f"≥ {AT_LEAST_TIMES} times", speed >= AT_LEAST_TIMES * ORIGINAL),
    ]  # fmt: skip
