"""Messages: texts, conditions, preview."""
