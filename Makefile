# YADTQ needs Python 3.11 or newer and make, nothing else: `make help`. ARGS are for start.py, PYTEST_ARGS for pytest.
PYTHON ?= python3
WORKERS ?= 4
MAX ?=
WEB ?=
ARGS ?=
PYTEST_ARGS ?=
CHAOS_ARGS ?=
BENCH_ARGS ?=
MODEL_ARGS ?=
SIMULATE_ARGS ?=
VENV := .venv
BIN := $(VENV)/bin
PIP_INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check

MAKEFLAGS += --no-print-directory
.DEFAULT_GOAL := help
.PHONY: help up down clean test test-containers lint format docs model simulate
.DELETE_ON_ERROR:

help: ## Shows this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' Makefile | expand -t 24

up: $(VENV)/.local ## Starts everything with 4 workers (WORKERS=n, up to MAX=m; WEB=1: a page), opens the shell; Exit stops all
	@exec $(BIN)/python start.py --workers $(WORKERS) $(if $(MAX),--max $(MAX)) $(if $(filter-out 0,$(WEB)),--web) $(ARGS)

down: ## Stops a run, and what a killed one left behind
	@if [ -x $(BIN)/python ]; then exec $(BIN)/python start.py --stop $(ARGS); else echo "nothing was running"; fi

clean: down ## Forgets all tasks, results and logs (Kafka's jars stay)
	@rm -rf .yadtq/data .yadtq/logs .yadtq/run

test: lint $(VENV)/.browser ## Checks everything but the containers: format, lint, types, tests
	@$(BIN)/python -m pytest -m "not containers" $(PYTEST_ARGS)
	@docker version >/dev/null 2>&1 \
		&& echo "container tests: not part of this; run make test-containers" \
		|| echo "container tests: left out, no container engine answers (make test-containers runs them)"

test-containers: $(VENV)/.dev ## Builds the images and tests them in real containers
	@$(BIN)/python -m pytest -m containers tests/e2e/test_containers.py $(PYTEST_ARGS)

model: | $(BIN)/python ## Explores every interleaving of the protocol (minutes; MODEL_ARGS=--need, --built, or a mode)
	@$(BIN)/python -m docs.model.model $(MODEL_ARGS)

simulate: $(VENV)/.dev ## Plays 1,000 schedules of faults against the real scripts and decisions (SIMULATE_ARGS=--help)
	@$(BIN)/python -m tests.simulation $(SIMULATE_ARGS)

chaos: $(VENV)/.dev ## Puts the queue through all faults and prints the figures, simulation included (CHAOS_ARGS=--help)
	@$(BIN)/python -m tests.chaos $(CHAOS_ARGS)

chaos-long: $(VENV)/.dev ## The same for hours, until it is stopped; goes on where it was
	@$(BIN)/python -m tests.chaos --long $(CHAOS_ARGS)

bench: $(VENV)/.dev ## Measures YADTQ beside other task queues, and writes docs/performance.md (half an hour; BENCH_ARGS=--help)
	@$(BIN)/python -m benchmarks $(BENCH_ARGS)

lint: $(VENV)/.dev ## Checks format, style and types
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy

format: $(VENV)/.dev ## Formats the code
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

docs: $(VENV)/.dev ## Writes the generated parts of docs/ anew
	@$(BIN)/python -m tests.support.generated_docs
	@$(BIN)/python -m shell.manual

# The packages, installed again only when a requirements file has changed. They read no standard input: it is the shell's.
$(VENV)/.local: requirements.txt requirements-local.txt | $(BIN)/python
	@echo "yadtq: installing packages into $(VENV) (only when requirements have changed)" >&2
	@$(PIP_INSTALL) -r requirements-local.txt </dev/null
	@touch $@

$(VENV)/.dev: requirements.txt requirements-local.txt requirements-dev.txt | $(BIN)/python
	@echo "yadtq: installing packages for the tests into $(VENV) (only when requirements have changed)" >&2
	@$(PIP_INSTALL) -r requirements-dev.txt </dev/null
	@touch $(VENV)/.local $@

# A browser for the tests of the web page, where the machine has none.
$(VENV)/.browser: tests/support/browser.py | $(VENV)/.dev
	@$(BIN)/python -m tests.support.browser </dev/null
	@touch $@

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' </dev/null || { echo "yadtq: $(PYTHON) is not\
	 Python 3.11 or newer: install one, then make up PYTHON=python3.12" >&2; exit 1; }
	@$(PYTHON) -m venv --clear $(VENV) </dev/null
