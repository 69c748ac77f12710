"""JSON for other systems: its editor, where it goes, what it is for each learner."""
