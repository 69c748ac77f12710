"""Views: some columns in their own order, a filter, a sorting, under a name."""
