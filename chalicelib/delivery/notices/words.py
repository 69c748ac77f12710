"""What the mail about an ended sending can tell, and how it tells it unless an administrator has other words."""

from __future__ import annotations

from chalicelib.actions.language import Names, of_message

#: The values by their numbers in stored texts, which never change: name, type, and what it is.
VALUES: dict[int, tuple[str, str, str]] = {
    1: ("user name", "text", "who sent it"),
    2: ("user email", "text", "their address"),
    3: ("action", "text", "what was sent"),
    4: ("workflow", "text", "where it belongs"),
    5: ("subject", "text", "the subject, with the names of its values"),
    6: ("messages", "integer", "how many were to be sent"),
    7: ("failed", "integer", "how many were refused"),
    8: ("skipped", "integer", "how many learners were left out"),
    9: ("in doubt", "integer", "of how many nobody knows whether they were sent"),
    10: ("sent at", "datetime", "when it began"),
    11: ("rows", "integer", "how many learners the table has"),
    12: ("selected", "integer", "how many of them the filter chose"),
    13: ("link", "text", "the address of the sending's page"),
}
#: What an `if` can ask.
TESTS: dict[int, tuple[str, str]] = {1: ("filter", "whether a filter chose the learners")}

FROM_NAME = "OnTask"
SUBJECT = "{{ @c3 }}: all messages are sent"
TEXT = """<p>Dear {{ @c1 | default: "colleague" }},</p>
<p>the sending of <strong>{{ @c3 }}</strong> ({{ @c4 }}), begun {{ @c10 }}, is through.</p>
<ul>
<li>Messages: {{ @c6 }}</li>
<li>Refused: {{ @c7 }}</li>
<li>In doubt: {{ @c9 }}</li>
<li>Learners left out: {{ @c8 }}</li>
<li>Learners chosen: {{ @c12 }} of {{ @c11 }}{% if @k1 %}, by a filter{% endif %}</li>
</ul>
<p><a href="{{ @c13 }}">See what became of each message</a></p>"""


def names() -> Names:
    """Return what values and tests are called in the text."""
    return of_message(
        {key: (name, kind) for key, (name, kind, _) in VALUES.items()}, {key: name for key, (name, _) in TESTS.items()}
    )
