"""Workflows and messages in files: our own format, and reading OnTask's. The format is in docs/export-format.md."""
