"""All learners' versions of an action as files in one ZIP."""
