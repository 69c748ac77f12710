"""The interface for programs as a whole: every module that declares addresses of it."""

from __future__ import annotations

from chalicelib.web import openapi
from chalicelib.web.api import declarations, respond
from chalicelib.workflows import api as workflows

#: Addresses are known once the module that declares them is imported.
MODULES = (openapi, workflows)

__all__ = ["MODULES", "declarations", "respond"]
