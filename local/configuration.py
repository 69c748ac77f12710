"""Write `docs/configuration.md` from the settings: `python -m local.configuration`."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import get_type_hints

from chalicelib.settings import Settings

TARGET = Path(__file__).resolve().parent.parent / "docs" / "configuration.md"
HEAD = """# Configuration

Every setting is an environment variable, read once when a process starts; an empty one counts as absent. On one
machine `make run` sets those it needs and passes on what you set: `MAIL_RATE=5 make run`.

boto3's own variables say where AWS is: `AWS_DEFAULT_REGION`, credentials, and for an emulated cloud
`AWS_ENDPOINT_URL`, `AWS_ENDPOINT_URL_SQS`, `AWS_ENDPOINT_URL_SESV2`.

| variable | default | what it is |
| --- | --- | --- |
"""


def page() -> str:
    """Return the page's text."""
    notes = get_type_hints(Settings, include_extras=True)
    lines = []
    for field in fields(Settings):
        default = f"`{field.default}`" if field.default not in {"", None} else ""
        lines.append(f"| `{field.name.upper()}` | {default} | {notes[field.name].__metadata__[0]} |")
    return HEAD + "\n".join(lines) + "\n"


if __name__ == "__main__":
    TARGET.write_text(page())
