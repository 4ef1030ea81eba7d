"""Audit answers from anywhere: `audit_predictions` needs no model, no task and no ledger."""

from nullgrad.analysis.audit.predictions import MISSING, PredictionAudit, Predictions, audit_predictions

__all__ = ["MISSING", "PredictionAudit", "Predictions", "audit_predictions"]
