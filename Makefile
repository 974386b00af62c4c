# One command for each thing a person does here; `make` alone lists them.
SHELL := /bin/sh
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help setup demo test test-fast check lint types imports fmt bench judge crash contract simulate browser pictures clean

export PIP_DISABLE_PIP_VERSION_CHECK := 1
export PIP_NO_INPUT := 1
# Tests start many processes; without the caches of Python each of them compiles everything anew.
unexport PYTHONDONTWRITEBYTECODE

VENV := .venv
BIN := $(VENV)/bin
PYTHON ?= $(shell command -v python3.11 || command -v python3 || command -v python)
# Two workers suit the smallest machine we support for development; override with WORKERS=8.
WORKERS ?= 2
PYTEST := $(BIN)/python -m pytest

help: ## List these targets.
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-10s %s\n", $$1, $$2}' Makefile

setup: $(VENV)/.package-installed ## Make .venv with pinned, hash-checked requirements and install aftersale into it.

demo: $(VENV)/.package-installed ## Run the simulated shop with its pages, without any set-up of your own.
	$(BIN)/aftersale demo $(if $(filter 0,$(SERVE)),--no-serve)

test: test-fast $(VENV)/clients/.installed ## Run every test: first the fast part, then the rest.
	$(PYTEST) -n $(WORKERS) --dist worksteal -m "slow or crash"

browser: $(VENV)/.dev-installed ## Fetch a Chromium for the browser tests where the machine has none.
	@command -v chromium chromium-browser google-chrome >/dev/null \
		|| $(BIN)/playwright install --only-shell chromium

pictures: $(VENV)/.dev-installed ## Take the pictures of the documents anew, from the demo.
	$(BIN)/aftersale demo --no-serve
	PYTHONPATH=tests $(BIN)/python tests/pictures.py .aftersale-demo

test-fast: $(VENV)/.dev-installed ## Run the tests that need no patience.
	$(PYTEST) -n $(WORKERS) --dist worksteal -m "not slow and not crash"

check: lint types imports ## Check style, types and the direction of imports.

lint: $(VENV)/.dev-installed
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

types: $(VENV)/.dev-installed
	$(BIN)/mypy

imports: $(VENV)/.dev-installed
	$(BIN)/lint-imports --no-logo

fmt: $(VENV)/.dev-installed ## Format the code and repair what can be repaired safely.
	$(BIN)/ruff check --fix --exit-zero --quiet .
	$(BIN)/ruff format .

bench: $(VENV)/.dev-installed ## Measure the speeds this project promises.
	$(BIN)/python -m benchmarks

judge: $(VENV)/.dev-installed ## Judge the scores on real shops' pasts (DATA=DIR): are they good enough?
	$(BIN)/python -m benchmarks.judge $(if $(DATA),--data "$(DATA)")

crash: $(VENV)/.dev-installed ## Kill workers 200 times, restart the database, fill the disk: nothing is lost or sent twice.
	AFTERSALE_KILLS=$${AFTERSALE_KILLS:-200} $(PYTEST) -n $(WORKERS) --dist worksteal -m crash

contract: $(VENV)/.dev-installed ## Send a thousand requests to every address: is the API as its description says?
	AFTERSALE_CASES=$${AFTERSALE_CASES:-1000} $(PYTEST) -s tests/api/test_description.py

simulate: $(VENV)/.dev-installed ## Live through months of a shop in which everything breaks; prints the seed of a failure.
	$(BIN)/python -m aftersale.testing.simulation --runs $(or $(RUNS),20)

clean: ## Remove everything that can be made again.
	rm -rf $(VENV) .aftersale-demo build dist src/*.egg-info \
		.pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	find src tests benchmarks -name __pycache__ -type d -prune -exec rm -rf {} + 2>/dev/null || true

# The stamps make a second run a matter of milliseconds: make compares two dates.
$(VENV)/bin/python:
	@if [ -z "$(PYTHON)" ]; then \
		echo "aftersale needs Python 3.11 or newer and found no python3 on the PATH."; \
		echo "Install it, or name it: make setup PYTHON=/path/to/python3.11"; exit 1; fi
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "aftersale needs Python 3.11 or newer; $(PYTHON) is $$("$(PYTHON)" --version 2>&1)."; \
		echo "Install a newer one, or name it: make setup PYTHON=/path/to/python3.11"; exit 1; }
	"$(PYTHON)" -m venv $(VENV)

$(VENV)/.core-installed: requirements/core.txt | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --require-hashes -r requirements/core.txt
	@touch $@

# The build backend is pinned in core.txt, so nothing is fetched to build the package.
$(VENV)/.package-installed: pyproject.toml $(VENV)/.core-installed
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

$(VENV)/.dev-installed: requirements/dev.txt $(VENV)/.package-installed
	$(BIN)/python -m pip install --quiet --require-hashes -r requirements/dev.txt
	@touch $@

# Clients of others, for the tests that send with them.
$(VENV)/clients/.installed: requirements/clients.txt | $(VENV)/bin/python
	$(BIN)/python -m venv $(VENV)/clients
	$(VENV)/clients/bin/python -m pip install --quiet --require-hashes -r requirements/clients.txt
	@touch $@
