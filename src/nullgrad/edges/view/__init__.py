"""The live view's index of a ledger."""
