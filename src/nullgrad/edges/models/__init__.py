"""Whatever answers: endpoints, the embedded engine, scripts; with prices and weights."""
