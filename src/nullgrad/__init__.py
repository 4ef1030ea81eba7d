"""nullgrad optimizes prompts for language models and tells what the improvement is made of."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nullgrad.version import __version__

if TYPE_CHECKING:
    from nullgrad.api import (
        MISSING,
        Audit,
        AuditReport,
        Compare,
        Optimization,
        OptimizeResult,
        PredictionAudit,
        Predictions,
        Spending,
        Study,
        aaudit,
        acompare,
        aoptimize,
        audit,
        audit_predictions,
        compare,
        load_task,
        optimize,
    )

__all__ = [
    "MISSING",
    "Audit",
    "AuditReport",
    "Compare",
    "Optimization",
    "OptimizeResult",
    "PredictionAudit",
    "Predictions",
    "Spending",
    "Study",
    "__version__",
    "aaudit",
    "acompare",
    "aoptimize",
    "audit",
    "audit_predictions",
    "compare",
    "load_task",
    "optimize",
]


def __getattr__(name: str) -> Any:
    """Load the API on first use: importing the package alone imports no database, SDK or SciPy."""
    if name in __all__:
        from nullgrad import api

        return getattr(api, name)
    raise AttributeError(f"module 'nullgrad' has no attribute {name!r}")
