"""What is known of one learner: as a file, or gone."""
