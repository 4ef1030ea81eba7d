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
from nullgrad.api.study import Study
from nullgrad.api.study_build import given_models
from nullgrad.edges.outfile import check_out, write_out
from nullgrad.edges.studyspec import SamplingEntry

__all__ = [
    "DEFAULT_ARM",
    "DEFAULT_LEDGER",
    "Forecast",
    "Optimization",
    "OptimizeResult",
    "Quiet",
    "SamplingEntry",
    "Spending",
    "Study",
    "aoptimize",
    "check_out",
    "fetch_task",
    "fetch_weights",
    "given_models",
    "last_report",
    "list_models",
    "list_tasks",
    "load_task",
    "optimize",
    "read_report",
    "scaffold_task",
    "study_report",
    "verify_ledger",
    "write_out",
]
