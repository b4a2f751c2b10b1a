# Every target installs what it needs into .venv first, from a bare Python 3.11 or newer, with hashes checked.
# The stamps make the second call instant.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help run test long lint types proto bench docs lock clean

BIN := .venv/bin
RUN_STAMP := .venv/.stamp-run
DEV_STAMP := .venv/.stamp-dev

# Arguments for the program, the tests and the benchmarks: make run ARGS="--headless --for 30s"
ARGS ?=
BENCH ?= ingest startup

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## /{printf "  make %-8s %s\n", $$1, $$2}' Makefile

$(RUN_STAMP): requirements-build.lock requirements.lock pyproject.toml scripts/install.sh
	@bash scripts/install.sh run

$(DEV_STAMP): requirements-build.lock requirements-dev.lock requirements.lock pyproject.toml scripts/install.sh
	@bash scripts/install.sh dev

run: $(RUN_STAMP) ## open the workstation (on the built-in simulator without an account)
	@$(BIN)/tradetui run $(ARGS)

test: $(DEV_STAMP) ## the short test suite, in minutes
	@bash scripts/test-setup.sh
	@bash scripts/test.sh $(ARGS)

long: $(DEV_STAMP) ## fuzz, soak and the time-zone matrix
	@bash scripts/test-setup.sh
	@$(BIN)/python -m pytest -m long $(ARGS)

lint: $(DEV_STAMP) ## formatting, lint rules and import contracts
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/lint-imports

types: $(DEV_STAMP) ## strict type checking
	@$(BIN)/mypy

proto: $(DEV_STAMP) ## regenerate tradetui/pb from proto/
	@$(BIN)/python scripts/gen_proto.py

bench: $(DEV_STAMP) ## benchmarks: make bench BENCH="ingest startup"
	@for name in $(BENCH); do $(BIN)/tradetui bench $$name $(ARGS); done

docs: $(DEV_STAMP) ## rebuild what is generated in docs/, check every link, take the screenshot
	@$(BIN)/python scripts/build_docs.py
	@$(BIN)/python scripts/screenshot.py

lock: $(DEV_STAMP) ## resolve the lock files anew
	@bash scripts/lock.sh

clean: ## remove .venv, caches and artefacts
	@rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache artefacts build dist
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
