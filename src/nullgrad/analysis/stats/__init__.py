"""What estimators and tests rest on: intervals, permutation tests, equivalence, power, corrections of families."""
