"""Dead letters: queue messages that failed too often, where people see them and can have them sent again."""
