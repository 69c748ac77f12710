"""JSON for other systems: where it goes, the secret it goes with, and the requests themselves."""
