"""A comparison of optimizers: sealed gains beside claimed ones, label dependence, and whether one may be called the best."""

from nullgrad.analysis.comparison.crown import Crown
from nullgrad.analysis.comparison.entries import EntryResult
from nullgrad.analysis.comparison.families import CompareContrast
from nullgrad.analysis.comparison.result import CompareResult, TrialLine, compare_trials

__all__ = ["CompareContrast", "CompareResult", "Crown", "EntryResult", "TrialLine", "compare_trials"]
