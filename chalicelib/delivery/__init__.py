"""Runs, messages, throttle, sending and feedback."""
