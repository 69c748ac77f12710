"""Surveys and to-do lists: questions that are columns of the table, and the answers of learners."""
