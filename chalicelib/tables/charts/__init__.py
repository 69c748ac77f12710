"""Statistics of a column, of one learner against the class, and the dashboard."""
