"""What a study comes to: its contrasts, verdicts and tables, and before it is run its plan."""
