# One command each. Everything is set up by itself, in .venv, on a bare machine.
PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt
ROUNDS ?= 50
SECONDS ?= 300

.PHONY: demo test lint format bench bench-peers torture fuzz docs system clean

demo: .venv/core  ## the shop in the box, from its events to a served page (ONCE=1: do not serve)
	$(BIN)/endcap demo $(if $(ONCE),--once)

test: .venv/dev system  ## every test, with the coverage gate
	$(BIN)/python -m pytest -n 2 --cov --cov-report=term:skip-covered $(ARGS)

lint: .venv/dev  ## formatting, style, types, import directions, spelling
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/codespell src benchmarks examples scripts docs README.md CONTRIBUTING.md CHANGELOG.md

format: .venv/dev  ## put everything in order
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: .venv/dev  ## the benchmarks' list; run one with: make bench NAME=temporal
	$(BIN)/python -m benchmarks $(NAME) $(ARGS)

bench-peers: .venv/dev  ## other libraries, in their own environment, to compare with
	$(BIN)/python -m benchmarks.peers.installing main

torture: .venv/dev system  ## faults and long runs, the long form of each (ROUNDS=50)
	ENDCAP_TORTURE_ROUNDS=$(ROUNDS) $(BIN)/python -m pytest -m torture -n 2 --dist worksteal --timeout 3600 $(ARGS)

fuzz: .venv/dev  ## random texts against the filter language (SECONDS=300)
	$(PIP) atheris==3.0.0
	$(BIN)/python scripts/fuzz_filters.py -max_total_time=$(SECONDS)

docs: .venv/dev  ## run every code block of the documentation and check its links
	$(BIN)/python -m pytest -q tests/docs

# What the tests need and pip cannot bring: a browser, and tools that cut the power and bend the clock.
system:
	@sh scripts/system_packages.sh

.venv/core: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(PIP) -e .
	@touch $@

.venv/dev: .venv/core
	$(PIP) -e '.[dev]'
	@touch $@

clean:  ## forget what was built
	rm -rf .venv .bench-venv demo-data endcap-data
