"""Everything on one machine: embedded PostgreSQL, emulated AWS, gateway and workers. Never deployed."""
