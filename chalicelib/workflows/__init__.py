"""Workflows: one class each, and who works on it."""
