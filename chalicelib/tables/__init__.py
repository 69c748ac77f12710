"""The table of learners: columns, rows, uploads, pages."""
