"""From a run's text and one message's values to an object, and from that to a request."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from chalicelib import errors
from chalicelib.actions import objects
from chalicelib.actions.reports.rows import thawed
from chalicelib.actions.targets import Target
from chalicelib.delivery.push.pusher import Parcel
from chalicelib.delivery.render import CONVERTERS, Written, fixed


class ObjectRenderer:
    """Renders the objects of one run. Making one raises errors.Invalid for a text that can't be used."""

    def __init__(self, run: Written) -> None:
        from chalicelib.actions.language.compile import compile_template

        self._text = compile_template(run.text, "json", time_zone=run.time_zone)
        self._tables: dict[str, Any] = run.details.get("tables", {})
        self._fixed = fixed(run.attributes)
        self._convert = {name: convert for name, kind in run.value_types.items() if (convert := CONVERTERS.get(kind))}

    def render(self, values: Mapping[str, Any], flags: Mapping[str, Any]) -> str:
        """Return the object made of a message's frozen values and flags.

        Raises errors.Invalid when it is no JSON, or gets too long.
        """
        context = {**self._fixed, **values, **flags}
        for name, convert in self._convert.items():
            if context.get(name) is not None:
                context[name] = convert(context[name])
        for key, about in self._tables.items():
            context[key] = thawed(values.get(key, []), about["names"], about["types"])
        text = self._text.render(context)
        try:
            objects.read(text)
        except objects.NotJson as error:
            raise errors.Invalid(f"This is no JSON for this learner. {error}") from error
        return text


def shown(run: Written, values: Mapping[str, Any], flags: Mapping[str, Any]) -> str:
    """Return an object as people read it, or why there is none."""
    try:
        return objects.pretty(ObjectRenderer(run).render(values, flags))
    except errors.Invalid as error:
        return error.message


def parcel(target: Target, token: str, text: str, key: str) -> Parcel:
    """Return the request for an object; `key` lets the other system see that it got the same one before."""
    kind = "application/x-www-form-urlencoded" if target.is_form else "application/json"
    body = _as_form(text) if target.is_form else text
    headers = {
        **target.headers, "Content-Type": kind, "Accept": "application/json, */*;q=0.5", "Idempotency-Key": key,
        "Authorization": f"Bearer {token}",
    }  # fmt: skip
    return Parcel(target.url, target.method, body.encode(), headers)


def _as_form(text: str) -> str:
    """Return the members of an object as the fields of a form; what is nested in them is JSON.

    Raises errors.Invalid when the text is another value of JSON.
    """
    members = objects.read(text)
    if not isinstance(members, dict):
        raise errors.Invalid("Only an object, in braces, can be sent as a form.")
    fields = {name: item if isinstance(item, str) else json.dumps(item) for name, item in members.items()}
    return urlencode(fields)
