"""What the events of the log are called on the pages: words that follow the name of who did it."""

from __future__ import annotations

WORDS = {
    "workflow_created": "created the workflow",
    "workflow_renamed": "renamed the workflow",
    "workflow_deleted": "deleted the workflow",
    "workflow_restored": "restored the workflow",
    "data_uploaded": "started the table with",
    "data_merged": "added data from",
    "data_restored": "brought an earlier table back",
    "cell_changed": "changed a value in",
    "row_added": "added the learner",
    "row_deleted": "deleted the learner",
    "column_added": "added the column",
    "column_renamed": "renamed a column to",
    "column_deleted": "deleted the column",
    "column_restored": "brought back the column",
    "action_created": "created the message",
    "action_copied": "made the copy",
    "action_renamed": "renamed a message to",
    "action_deleted": "deleted the message",
    "action_restored": "brought back the message",
    "action_text_changed": "wrote in the message",
    "action_filter_changed": "changed who gets the message",
    "action_filter_removed": "let everybody get the message",
    "condition_created": "created the condition",
    "condition_changed": "changed the condition",
    "condition_deleted": "deleted the condition",
    "condition_restored": "brought back the condition",
    "run_confirmed": "asked to send",
    "run_started": "began sending",
    "run_undone": "took a sending back",
    "run_paused": "paused sending",
    "run_resumed": "resumed sending",
    "run_cancelled": "cancelled the rest of a sending",
    "run_retried": "queued failed mails again",
    "run_done": "finished sending",
    "run_failed": "could not go on sending",
    "message_sent_again": "sent a mail in doubt again",
    "messages_unknown": "could not tell whether some mails went out",
    "unsubscribed": "noted that a learner wants no more mail",
    "user_created": "created an account",
    "password_changed": "changed a password",
    "signed_in": "signed in",
}


def said(event_type: str) -> str:
    """Return the words for an event; one that has none yet is said by its type."""
    return WORDS.get(event_type, event_type.replace("_", " "))
