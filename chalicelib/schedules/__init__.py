"""What runs when: jobs, the alarm clock and the daily safety net."""
