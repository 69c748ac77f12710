"""What happened to the table, and the earlier tables that can come back."""
