"""Estimators and the frozen read model that every surface prints."""
