"""Charts of results: Vega-Lite specifications with their rows, from the JSON values that `--json` prints.

A page, a picture and a live view draw the same `Chart`; nothing here computes a statistic.
"""

from nullgrad.surfaces.charts.base import Chart, Column, Table
from nullgrad.surfaces.charts.collect import Group, optimize_charts, study_charts
from nullgrad.surfaces.charts.comparison import comparison_charts

__all__ = ["Chart", "Column", "Group", "Table", "comparison_charts", "optimize_charts", "study_charts"]
