"""Users, roles, sign-in and sessions."""
