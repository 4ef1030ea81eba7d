"""The verbs of nullgrad, synchronous and asynchronous: what the commands do, as functions."""

from typing import TYPE_CHECKING, Any

from nullgrad.analysis.audit.report import AuditReport
from nullgrad.analysis.forecast import Forecast
from nullgrad.analysis.result import OptimizeResult
from nullgrad.api.audit import Audit, aaudit, audit
from nullgrad.api.audit_predictions import MISSING, PredictionAudit, Predictions, audit_predictions
from nullgrad.api.audit_presets import audit_preset, audit_presets
from nullgrad.api.audit_prompts import GivenPrompt, check_component, given_prompt
from nullgrad.api.compare import Compare, acompare, compare
from nullgrad.api.compare_build import parse_settings
from nullgrad.api.export import Exported, export_run, promptfoo_config
from nullgrad.api.foreign import ForeignOptimization, arun_optimizer, run_optimizer
from nullgrad.api.gateway import GatewayReport, GatewayServer, Serving
from nullgrad.api.history import run_history
from nullgrad.api.inventory import (
    fetch_task,
    fetch_weights,
    last_report,
    list_models,
    list_tasks,
    load_task,
    read_report,
    scaffold_task,
    study_report,
    verify_ledger,
)
from nullgrad.api.optimization import (
    DEFAULT_ARM,
    DEFAULT_LEDGER,
    Optimization,
    Quiet,
    Spending,
    aoptimize,
    optimize,
)
from nullgrad.api.rate import Rating, open_rating, rating_rows, rating_summary
from nullgrad.api.rate_summary import RatingSummary
from nullgrad.api.runs import read_run
from nullgrad.api.study import Study
from nullgrad.api.study_build import given_models
from nullgrad.api.view import LedgerView, open_view
from nullgrad.core.foreign import ForeignResult
from nullgrad.edges.outfile import check_out, write_out
from nullgrad.edges.study.spec import SamplingEntry

if TYPE_CHECKING:
    from nullgrad.api.calibrate import calibrate_optimizer, calibrate_self

__all__ = [
    "DEFAULT_ARM",
    "DEFAULT_LEDGER",
    "MISSING",
    "Audit",
    "AuditReport",
    "Compare",
    "Exported",
    "Forecast",
    "ForeignOptimization",
    "ForeignResult",
    "GatewayReport",
    "GatewayServer",
    "GivenPrompt",
    "LedgerView",
    "Optimization",
    "OptimizeResult",
    "PredictionAudit",
    "Predictions",
    "Quiet",
    "Rating",
    "RatingSummary",
    "SamplingEntry",
    "Serving",
    "Spending",
    "Study",
    "aaudit",
    "acompare",
    "aoptimize",
    "arun_optimizer",
    "audit",
    "audit_predictions",
    "audit_preset",
    "audit_presets",
    "calibrate_optimizer",
    "calibrate_self",
    "check_component",
    "check_out",
    "compare",
    "export_run",
    "fetch_task",
    "fetch_weights",
    "given_models",
    "given_prompt",
    "last_report",
    "list_models",
    "list_tasks",
    "load_task",
    "open_rating",
    "open_view",
    "optimize",
    "parse_settings",
    "promptfoo_config",
    "rating_rows",
    "rating_summary",
    "read_report",
    "read_run",
    "run_history",
    "run_optimizer",
    "scaffold_task",
    "study_report",
    "verify_ledger",
    "write_out",
]


def __getattr__(name: str) -> Any:
    """Load calibration on first use: it needs SciPy's distributions, which no other command waits for."""
    if name in ("calibrate_optimizer", "calibrate_self"):
        from nullgrad.api import calibrate

        return getattr(calibrate, name)
    raise AttributeError(f"module 'nullgrad.api' has no attribute {name!r}")
