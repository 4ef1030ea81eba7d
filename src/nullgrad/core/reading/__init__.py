"""Reading an answer out of a reply, one way of reading per module."""
