"""Imports every model, so that metadata is complete: for migrations and tests, not for the functions."""

from chalicelib.accounts import models as accounts
from chalicelib.actions import models as actions
from chalicelib.actions.reports import models as reports
from chalicelib.actions.rubrics import models as rubrics
from chalicelib.actions.serving import models as serving
from chalicelib.actions.surveys import models as surveys
from chalicelib.audit import models as audit
from chalicelib.database import Base
from chalicelib.delivery import models as delivery
from chalicelib.delivery.letters import models as letters
from chalicelib.delivery.notices import models as notices
from chalicelib.delivery.push import models as push
from chalicelib.exchange import models as exchange
from chalicelib.schedules import models as schedules
from chalicelib.tables import models as tables
from chalicelib.tables.history import models as history
from chalicelib.tables.uploads import models as uploads
from chalicelib.workflows import models as workflows

__all__ = [
    "Base",
    "accounts",
    "actions",
    "audit",
    "delivery",
    "exchange",
    "history",
    "letters",
    "notices",
    "push",
    "reports",
    "rubrics",
    "schedules",
    "serving",
    "surveys",
    "tables",
    "uploads",
    "workflows",
]
