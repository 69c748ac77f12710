"""What tests of the interface share."""

from __future__ import annotations

import pytest
from sqlalchemy.orm import Session

from chalicelib.accounts.models import User
from tests.programs import Program, program


@pytest.fixture
def api(session: Session, user: User) -> Program:
    """A program of Ines's that may change things."""
    return program(session, user)
