"""The instrument's own test: how often its verdicts are right where the truth is known."""
