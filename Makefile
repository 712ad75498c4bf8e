# README's commands. Everything is installed into .venv from the hash-locked lists; nothing else is needed.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
FENCING := tests/chaos/test_fencing.py

.DEFAULT_GOAL := help
.PHONY: help start demo dev test ci audit bench soak soak-crm format lint types imports supply clean

help: ## list the commands
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | sort

$(VENV)/runtime: requirements.lock pyproject.toml
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/pip install -qq --disable-pip-version-check --require-hashes -r requirements.lock
	@$(BIN)/pip install -qq --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

$(VENV)/dev: $(VENV)/runtime requirements-dev.lock
	@$(BIN)/pip install -qq --disable-pip-version-check --require-hashes -r requirements-dev.lock
	@touch $@

start: $(VENV)/runtime ## start the platform and print its address
	@exec $(BIN)/gptagent up

demo: $(VENV)/runtime ## watch an agent answer, with nothing but this machine
	@exec $(BIN)/gptagent demo

dev: $(VENV)/dev ## start the platform; it reloads when a source file changes
	@exec $(BIN)/gptagent up --reload

format: $(VENV)/dev
	@$(BIN)/ruff format src tests benchmarks

lint: $(VENV)/dev ## format and lint checks
	@$(BIN)/ruff format --check --quiet src tests benchmarks
	@$(BIN)/ruff check --quiet src tests benchmarks
	@$(BIN)/python tests/lints/run.py

types: $(VENV)/dev
	@$(BIN)/mypy

imports: $(VENV)/dev
	@$(BIN)/lint-imports --no-cache

test: $(VENV)/dev ## all tests, with coverage
	@$(BIN)/coverage erase
	@$(BIN)/python tests/run.py
	@$(BIN)/coverage combine --quiet
	@$(BIN)/coverage report
	@$(BIN)/coverage report --include='*/model.py,*/policy.py' --fail-under=95 > /dev/null || \
	  { $(BIN)/coverage report --include='*/model.py,*/policy.py' --fail-under=95; exit 1; }

audit: $(VENV)/dev ## known holes in dependencies, age and hashes of the locks, secrets in the repository
	@$(BIN)/python tests/lints/supply.py

supply: $(VENV)/dev
	@$(BIN)/python tests/lints/supply.py --offline

ci: lint types imports supply test ## what continuous integration runs

bench: $(VENV)/dev ## measure: one `name label value` per line
	@exec $(BIN)/gptagent bench

soak: $(VENV)/dev ## 50,000 random interleavings of the fencing test (an hour)
	@$(BIN)/pytest $(FENCING) --interleavings 50000 --seed $$(date +%j)

soak-crm: $(VENV)/dev ## 10,000 messages over 50 CRM accounts with one answer in five faulty (half an hour)
	@$(BIN)/pytest tests/chaos/test_crm_soak.py --messages 10000 -s

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache build dist
