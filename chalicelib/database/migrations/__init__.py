"""The schema's history (Alembic). Applied by the `migrate` function, never by a page."""
