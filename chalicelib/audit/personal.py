"""What in an event is a learner's own, and may be erased while the event stays."""

from __future__ import annotations

#: The details that say something about one learner, by type of event; they are kept apart from all others.
NAMES = {
    "cell_changed": frozenset({"old", "new"}),
    "row_added": frozenset({"name", "values"}),
    "row_changed": frozenset({"name", "values"}),
    "row_deleted": frozenset({"name", "values", "hidden"}),
    "notification_sent": frozenset({"to"}),
    "survey_answered": frozenset({"values", "lost"}),
    "todo_answered": frozenset({"values", "lost"}),
}
