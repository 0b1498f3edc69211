# `make test`, `make lint` and `make bench` do all of their own set-up.

ACTIVE := $(shell command -v python || command -v python3)
ENVIRONMENT = $(ACTIVE) producers/environment.py --called $(ACTIVE)
# The active Python if it has all that is needed, else .venv, which is made if need be.
SET_UP = python=$$($(ENVIRONMENT) --test) &&

.PHONY: env test lint bench clean-env

env:
	@$(ENVIRONMENT)

test:
	@$(SET_UP) "$$python" -m pytest -n 2 $(ARGS)

lint:
	@$(SET_UP) "$$python" -m ruff check
	@$(SET_UP) "$$python" -m ruff format --check
	@$(SET_UP) "$$python" -m mypy
	@$(SET_UP) "$$python" -c "from importlinter.cli import *; lint_imports_command()"

bench:
	@$(SET_UP) "$$python" -m benchmarks $(ARGS)

clean-env:
	@$(ENVIRONMENT) --remove
