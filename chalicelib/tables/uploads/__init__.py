"""From a file to a table: receive, read, show, merge, take back."""
