"""Values and decisions, without I/O, clocks or global randomness: the standard library only."""
