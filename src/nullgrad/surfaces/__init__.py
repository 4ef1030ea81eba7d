"""What people look at: they format what the API hands them and decide nothing."""
