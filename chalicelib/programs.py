"""The interface for programs as a whole: every module that declares addresses of it."""

from __future__ import annotations

from chalicelib.audit import api as events
from chalicelib.delivery import legacy_schedules, schedule_api
from chalicelib.exchange import api as exchange
from chalicelib.tables import api as tables
from chalicelib.tables import legacy_api as legacy_tables
from chalicelib.tables.columns import api as columns
from chalicelib.tables.uploads import api as uploads
from chalicelib.tables.views import api as views
from chalicelib.web import openapi
from chalicelib.web.api import declarations, respond
from chalicelib.workflows import api as workflows
from chalicelib.workflows import legacy_api as legacy_workflows

#: Addresses are known once the module that declares them is imported.
MODULES = (
    columns, events, exchange, legacy_schedules, legacy_tables, legacy_workflows, openapi, schedule_api, tables,
    uploads, views, workflows,
)  # fmt: skip

__all__ = ["MODULES", "declarations", "respond"]
