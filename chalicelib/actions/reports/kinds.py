"""The kinds of files that a report can have, and how many."""

FORMATS = {"csv": "CSV", "xlsx": "Excel"}
MAX_ATTACHMENTS = 10
