"""One file per outside thing: endpoints, the embedded engine, the ledger's database, files, publishers."""
