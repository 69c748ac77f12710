"""The CloudFormation templates, parsed: intrinsic functions become `{"Ref": …}`, `{"Fn::Sub": …}` and so on."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parent.parent.parent
FOLDER = ROOT / "infrastructure"


class _Loader(yaml.SafeLoader):
    """Understands CloudFormation's short forms."""


def _short_form(loader: _Loader, suffix: str, node: yaml.Node) -> dict[str, Any]:
    if isinstance(node, yaml.ScalarNode):
        value: Any = loader.construct_scalar(node)
    elif isinstance(node, yaml.SequenceNode):
        value = loader.construct_sequence(node, deep=True)
    else:
        value = loader.construct_mapping(node, deep=True)  # type: ignore[arg-type]
    if suffix == "GetAtt" and isinstance(value, str):
        value = value.split(".", 1)
    return {suffix if suffix in {"Ref", "Condition"} else f"Fn::{suffix}": value}


_Loader.add_multi_constructor("!", _short_form)


@cache
def template(name: str) -> dict[str, Any]:
    """Return a template, `base` or `edge`."""
    parsed: dict[str, Any] = yaml.load((FOLDER / f"{name}.yaml").read_text(), _Loader)
    return parsed


def of_type(name: str, kind: str) -> dict[str, dict[str, Any]]:
    """Return the properties of the template's resources of this type, by their logical name."""
    found = template(name)["Resources"].items()
    return {key: resource["Properties"] for key, resource in found if resource["Type"] == kind}


def statements(value: Any) -> Iterator[dict[str, Any]]:
    """Yield every policy statement in a template or policy."""
    if isinstance(value, dict):
        if "Effect" in value:
            yield value
        for part in value.values():
            yield from statements(part)
    elif isinstance(value, list):
        for part in value:
            yield from statements(part)


def as_list(value: Any) -> list[Any]:
    """Return actions or resources as a list."""
    return value if isinstance(value, list) else [value]
