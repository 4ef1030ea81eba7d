"""The only place that awaits: asking, driving generators, scheduling trials."""
