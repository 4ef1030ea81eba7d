"""What people see: they format and decide nothing."""
