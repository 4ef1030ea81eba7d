"""The ledger's SQLite database: writing, reading, verifying, and its migrations."""
