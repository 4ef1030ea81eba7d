"""Estimators and the frozen results that every surface prints; imports core only."""
