# `make run` serves, `make test` proves. Each makes its own virtual environment and leaves the system's Python alone.
PYTHON ?= python3
EXTRAS ?=
SERVING := .venv
DEV := .venv-dev
SERVING_STAMP := $(SERVING)/.installed$(if $(EXTRAS),-$(EXTRAS))
DEV_STAMP := $(DEV)/.installed
, := ,
PIP := -m pip --disable-pip-version-check -qq install --constraint constraints.txt
REQUIRED := import sys; sys.exit(None if sys.version_info >= (3, 11) else "Lighttrap needs Python 3.11 or newer: make PYTHON=python3.12 ...")

.DEFAULT_GOAL := help
.PHONY: help run test check bench system clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-7s %s\n", $$1, $$2}' Makefile

run: $(SERVING_STAMP) ## install what serving needs (no torch), then serve; EXTRAS=gpu adds the CUDA libraries
	@exec $(SERVING)/bin/python -m app serve

test: $(DEV_STAMP) system ## install everything, then `make check` and all tests
	@$(MAKE) --no-print-directory check
	OMP_NUM_THREADS=1 $(DEV)/bin/python -m pytest --numprocesses=auto --maxprocesses=8 --dist=loadfile --no-loadscope-reorder

check: $(DEV_STAMP) ## lint, format, types, import contracts, dependencies, dead code
	$(DEV)/bin/ruff check .
	$(DEV)/bin/ruff format --check .
	$(DEV)/bin/mypy --strict
	$(DEV)/bin/lint-imports
	$(DEV)/bin/deptry .
	$(DEV)/bin/vulture

bench: $(DEV_STAMP) ## measure start-up, latency, throughput and training speed (minutes, on a quiet machine)
	$(DEV)/bin/python -m tests.bench

system: ## what tests need beyond Python: Chromium and PostgreSQL's programs
	@sh .ci/system

clean: ## remove virtual environments and caches; what the service saved in var/ stays
	rm -rf .venv .venv-* build *.egg-info .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
	find app training models tests migrations -name __pycache__ -type d -prune -exec rm -rf {} +

# A virtual environment whose pip does not answer (a broken or half-made one) is made anew.
define install
	@$(PYTHON) -c '$(REQUIRED)'
	@$(1)/bin/python -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv --clear $(1)
	@echo "Installing $(2) into $(1) (only when pyproject.toml or constraints.txt changed) ..."
	@$(1)/bin/python $(PIP) pip
	@$(1)/bin/python $(PIP) --build-constraint constraints.txt --only-deps '$(3)'
	@touch $@
endef

$(SERVING_STAMP): pyproject.toml constraints.txt
	$(call install,$(SERVING),what serving needs,.$(if $(EXTRAS),[$(EXTRAS)]))

$(DEV_STAMP): pyproject.toml constraints.txt
	$(call install,$(DEV),serving$(,) training and test packages,.[training$(,)dev])
