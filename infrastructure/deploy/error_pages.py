"""What API Gateway itself answers, before any of our code: the same in the cloud and on one machine."""

from __future__ import annotations

import html
import json

#: Answers of the gateway itself, before any of our code: status and what a person is told.
PAGES = {
    "MISSING_AUTHENTICATION_TOKEN": (404, "There is no such page", "Perhaps the link is incomplete."),
    "RESOURCE_NOT_FOUND": (404, "There is no such page", "Perhaps the link is incomplete."),
    "REQUEST_TOO_LARGE": (
        413,
        "That is too large",
        "At most 10 MB can be sent with a form; upload files on their page.",
    ),
    "UNSUPPORTED_MEDIA_TYPE": (415, "This can't be read", "Please send the form from its page."),
    "THROTTLED": (429, "Too many requests at once", "Please try again in a moment."),
    "QUOTA_EXCEEDED": (429, "Too many requests at once", "Please try again in a moment."),
    "INTEGRATION_TIMEOUT": (504, "This took too long", "Please try again. What you typed is still on the page before."),
    "DEFAULT_4XX": (None, "This can't be done", "Please go back and try again."),
    "DEFAULT_5XX": (None, "Something went wrong", "Please try again in a moment."),
}


def page(title: str, advice: str) -> str:
    """Return the page for people."""
    title, advice = html.escape(title), html.escape(advice)
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        f"<title>{title} – OnTask</title><h1>{title}</h1><p>{advice}</p></html>"
    )


def line(title: str, advice: str) -> str:
    """Return the JSON for programs."""
    return json.dumps({"message": f"{title}. {advice}"})
