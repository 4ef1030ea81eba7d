"""The verbs of nullgrad, synchronous and asynchronous: what the commands do, as functions."""

from nullgrad.analysis.forecast import Forecast
from nullgrad.analysis.result import OptimizeResult
from nullgrad.api.inventory import (
    fetch_task,
    fetch_weights,
    last_report,
    list_models,
    list_tasks,
    load_task,
    scaffold_task,
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

__all__ = [
    "DEFAULT_ARM",
    "DEFAULT_LEDGER",
    "Forecast",
    "Optimization",
    "OptimizeResult",
    "Quiet",
    "Spending",
    "aoptimize",
    "fetch_task",
    "fetch_weights",
    "last_report",
    "list_models",
    "list_tasks",
    "load_task",
    "optimize",
    "scaffold_task",
    "verify_ledger",
]
