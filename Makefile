# Everything a clone needs, on a machine with nothing but Python >= 3.11:
#
#   make demo    a real pipeline, run, run again (reused, with reasons), edited, run once more
#   make test    the tests (under 8 minutes on 2 cores)      make check   format, lint, types, contracts, sizes
#   make bench   the benchmarks and their budgets            make soak    the tests at full counts (hours)
#   make clean   remove what the above made (not .venv: that is `make distclean`)
#
# The first target that needs it makes .venv, which takes the network once; later ones work offline.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-print-directory

VENV := .venv
BIN := $(VENV)/bin
ROOTS := engine $(wildcard tui plugins)
WORKERS ?= 2
PYTEST_ARGS ?=

# Bytecode halves every start-up; whoever switched it off did not mean this folder.
unexport PYTHONDONTWRITEBYTECODE
# A virtual environment that happens to be active, or a PYTHONPATH, must not leak into ours.
unexport VIRTUAL_ENV PYTHONPATH PYTHONHOME

# The stamp is named by the content of what decides the installation: a checkout that only moves
# times does not go back to the network.
STAMP := $(VENV)/.installed-$(shell cksum < pyproject.toml | tr -s ' ' '-')

.PHONY: help venv compiled demo test check bench bench-check bench-keep soak clean distclean

help:
	@awk '/^$$/ {exit} {sub(/^# ?/, ""); print}' Makefile

venv: $(STAMP)

$(STAMP):
	@python=$$(for name in $(PYTHON) python3 python3.14 python3.13 python3.12 python3.11; do \
	    if "$$name" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then echo "$$name"; break; fi; \
	  done); \
	if [ -z "$$python" ]; then echo "make: no Python >= 3.11 found; try: make PYTHON=/path/to/python3" >&2; exit 4; fi; \
	if ! [ -x $(BIN)/python ]; then \
	  echo "making $(VENV) with $$($$python --version)"; \
	  "$$python" -m venv $(VENV) || { rm -rf $(VENV); \
	    echo "make: Python cannot make virtual environments here; try: apt-get install python3-venv" >&2; exit 4; }; \
	fi
	@[ -x $(BIN)/uv ] || $(BIN)/python -m pip install --quiet --disable-pip-version-check uv
	@echo "installing stepwell and what it needs (once)"
	@# uv does not read pip's configuration; where packages come from a place only pip knows, pip fetches them.
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --compile-bytecode -e '.[dev,demo]' || \
	  { echo "uv could not; trying pip"; $(BIN)/python -m pip install --quiet -e '.[dev,demo]'; }
	@rm -f $(VENV)/.installed-*
	@touch $@

compiled: $(STAMP)
	@$(BIN)/python -m compileall -q $(ROOTS)

demo: compiled
	@$(BIN)/python sample_projects/tour.py --stepwell $(BIN)/stepwell --folder demo

test: compiled
	@$(BIN)/python -m pytest -n $(WORKERS) --dist loadgroup -m "not alone" $(PYTEST_ARGS)
	@$(BIN)/python -m pytest -m "alone" $(PYTEST_ARGS) || [ $$? -eq 5 ]

check: compiled
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache
	PYTHONPATH=tests $(BIN)/python -m contracts.sizes

bench: compiled
	@PYTHONPATH=tests $(BIN)/python -m bench

bench-check: compiled
	@PYTHONPATH=tests $(BIN)/python -m bench --check

# Make the numbers of this machine the kept ones: tests/bench/baseline.json and docs/performance.md.
bench-keep: compiled
	@PYTHONPATH=tests $(BIN)/python -m bench --keep

soak: compiled
	@STEPWELL_SOAK=1 STEPWELL_CI=1 $(BIN)/python -m pytest -n $(WORKERS) --dist loadgroup -m "not alone" --timeout 0 $(PYTEST_ARGS)
	@STEPWELL_SOAK=1 STEPWELL_CI=1 $(BIN)/python -m pytest -m "alone" --timeout 0 $(PYTEST_ARGS) || [ $$? -eq 5 ]

clean:
	@if [ -d demo ]; then python3 sample_projects/tour.py --stepwell $(BIN)/stepwell --folder demo --remove; fi
	rm -rf bench-out build dist .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	find $(ROOTS) tests sample_projects -name __pycache__ -type d -prune -exec rm -rf {} +

distclean: clean
	rm -rf $(VENV)
