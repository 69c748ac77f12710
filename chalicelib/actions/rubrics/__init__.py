"""Rubric feedback: criteria, levels, and what each level of each criterion says to a learner."""
