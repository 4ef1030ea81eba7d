"""Scorers, one family per module; `scoring.make_scorer` chooses among them."""
