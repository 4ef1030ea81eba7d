# Every target sets up what it needs; `make demo` and `make test` are the two to begin with.
PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/.installed

PEERS := .venv-peers/all

.PHONY: install demo test browser lint type bench bench-docs bench-peers bench-demo optimizers conformance docs studies lock clean

install: $(STAMP)

$(STAMP): requirements/lock.txt pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "nullgrad needs Python 3.11 or newer; say make PYTHON=python3.11 install")'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements/lock.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	touch $(STAMP)

demo: install
	$(BIN)/python scripts/demo.py

test: install browser
	$(BIN)/ruff check src tests scripts
	$(BIN)/lint-imports
	$(BIN)/mypy
	$(BIN)/pytest -n 2 --dist loadfile

# The pages are tested in a real browser; without one, and without the means to install it, those tests are skipped.
browser:
	@command -v chromium >/dev/null || (apt-get update -qq && apt-get install -y -qq --no-install-recommends chromium >/dev/null) \
	  || echo "There is no Chromium and it cannot be installed: browser tests are skipped."

lint: install
	$(BIN)/ruff check src tests scripts
	$(BIN)/ruff format --check src tests scripts
	$(BIN)/lint-imports

type: install
	$(BIN)/mypy

bench: install
	$(BIN)/python scripts/bench.py

bench-docs: install
	$(BIN)/python scripts/bench.py --write

bench-peers: optimizers

bench-demo: install
	$(BIN)/python scripts/bench_demo.py

# The third-party optimizers that the adapters were run with, in an environment of their own. The list is whole, so that nothing
# else is looked for: xgboost, which Trace wants, would bring half a gigabyte for graphics processors.
optimizers: $(PEERS)/.installed

$(PEERS)/.installed: requirements/optimizers.txt
	$(PYTHON) -m venv $(PEERS)
	$(PEERS)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps -r requirements/optimizers.txt
	touch $@

# Fills docs/conformance.md and the transcripts of third-party optimizers with what the commands print today.
conformance: install optimizers
	NULLGRAD_OPTIMIZERS_PYTHON=$(CURDIR)/$(PEERS)/bin/python $(BIN)/python scripts/conformance.py

docs: install
	$(BIN)/python scripts/docs.py

studies: install
	$(BIN)/python scripts/studies.py

lock:
	uv pip compile pyproject.toml --extra local --extra parquet --extra report --extra view --group dev --python-version 3.11 \
	  --no-header --no-emit-index-url --no-annotate -o requirements/lock.txt

clean:
	rm -rf .venv build dist .mypy_cache .ruff_cache .pytest_cache
