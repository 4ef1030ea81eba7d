"""One command each; imported only when called."""
