"""Where tasks come from: task files, data sets, generators, publishers."""
