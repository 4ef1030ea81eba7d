"""Local pages over a ledger: `view` and `rate`. Server-rendered, loopback only, behind a token; see `guard`."""
