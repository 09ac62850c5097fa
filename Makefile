# Prerequisites: Python 3.11 or newer, and make. Everything else is installed into $(VENV).
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
export REELMESH_DATA ?= $(CURDIR)/.reelmesh
export RAY_USAGE_STATS_ENABLED := 0

INSTALLED := $(VENV)/.installed
STUBS := protos/gen/reelmesh/descriptors.binpb
PROTOS := $(shell find protos/reelmesh third_party -name '*.proto')
INSTALL := $(BIN)/python deploy/install.py

.DEFAULT_GOAL := help
.PHONY: help setup demo up down test check format bench clean

help: ## List the commands
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(INSTALLED) $(STUBS) ## Install everything into .venv (does nothing when up to date)

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Reelmesh needs Python 3.11 or newer, and '$(PYTHON)' is older. Name another one: make PYTHON=python3.12 $(MAKECMDGOALS)" >&2; exit 1; }
	@echo "Creating $(VENV)"
	@$(PYTHON) -m venv $(VENV)

# torch goes first and alone: with it in place nothing else pulls a build for another device.
$(INSTALLED): pyproject.toml constraints.txt | $(VENV)/bin/python
	@echo "Installing torch (1 of 3; large, once)"
	@$(INSTALL) --constraint constraints.txt torch==2.13.0
	@echo "Installing Reelmesh and its components (2 of 3; large, once)"
	@$(INSTALL) --constraint constraints.txt --editable '.[dev]'
	@touch $@

$(STUBS): $(PROTOS) protos/generate.py | $(INSTALLED)
	@echo "Generating stubs from the protos (3 of 3)"
	@$(BIN)/python protos/generate.py
	@touch $@

demo: setup ## Boot everything, make a picture, show it, stop everything
	@$(BIN)/reelmesh demo

up: setup ## Start the platform and leave it running
	@$(BIN)/reelmesh up --detach

down: setup ## Stop the platform; its data stays
	@$(BIN)/reelmesh down

test: setup ## Run every test
	@$(BIN)/python -m $(if $(TESTS),pytest $(TESTS),deploy.suite)

check: setup ## Format, lint, types, imports, protos, generated configuration, workflows
	@$(BIN)/python -m deploy.checks

format: setup ## Rewrite sources, protos and generated configuration
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix-only --quiet .
	@$(BIN)/buf format --write --path protos/reelmesh
	@$(BIN)/python protos/generate.py
	@$(BIN)/python -m deploy.generated --write

bench: setup ## Run the benchmarks (BENCH=name for one)
	@$(BIN)/python -m bench $(BENCH)

clean: ## Remove what setup and the tests made; data under .reelmesh stays
	rm -rf $(VENV) protos/gen protos/gen.new .pytest_cache .mypy_cache .ruff_cache .hypothesis
