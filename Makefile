# Everything happens in .venv, which the first target that needs it creates and the others reuse.
PYTHON ?= python3
BIN := .venv/bin
# What an installation is made of; the Python in src/ is read where it lies.
FOUNDATION := pyproject.toml CMakeLists.txt $(wildcard native/CMakeLists.txt native/exports.map native/*.cpp) \
	$(wildcard native/include/*.h native/common/*.h native/kernels/*.cpp)
PYTEST_OPTIONS ?=
# Benchmarks that train for hours; each is run by itself.
HOURS := benchmarks/published.py benchmarks/peers.py

.DEFAULT_GOAL := help
.PHONY: help demo test check bench docs clean

help: ## say what there is
	@echo "make TARGET, where TARGET is one of"
	@sed -n 's/^\([a-z]*\):[^#]*## \(.*\)/  \1\t\2/p' $(MAKEFILE_LIST) | expand -t 12
	@echo "Each creates .venv when it is not there and reuses it when it is. PYTHON=… chooses the Python (3.11 or later)."

demo: .venv/.runtime ## train on the two data sets in the package; tables, text and pictures go into demo/
	@echo "== training on the demonstration data; the results go into demo/"
	$(BIN)/throughtime demo --out demo

test: .venv/.development ## run the tests and the examples of the documentation
	@echo "== running the tests (PYTEST_OPTIONS='-m slow' runs the slow ones)"
	$(BIN)/python -m pytest -n auto --dist loadfile $(PYTEST_OPTIONS)

check: .venv/.development ## look for faults without running anything: style, types, imports
	@echo "== style"
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/clang-format --dry-run --Werror $(wildcard native/*.cpp native/*/*.h native/*/*.cpp)
	@echo "== types"
	$(BIN)/basedpyright
	@echo "== imports"
	$(BIN)/lint-imports --no-cache

bench: .venv/.benchmarks ## run every script of benchmarks/ but those that train for hours, one after another
	@set -e; found=0; for script in $(filter-out $(HOURS),$(wildcard benchmarks/[!_]*.py)); do \
	  if [ -f "$$script" ]; then found=1; echo "== $$script"; $(BIN)/python "$$script"; fi; \
	done; if [ $$found = 0 ]; then echo "benchmarks/ holds no script: there is nothing to measure"; fi

docs: .venv/.documentation ## build the documentation into site/
	@echo "== building the documentation into site/"
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet
	@echo "open site/index.html"

clean: ## remove .venv and everything built
	rm -rf .venv benchmarks/.peers build dist site .pytest_cache .ruff_cache .hypothesis .import_linter_cache

.venv/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	  echo "$(PYTHON) is $$($(PYTHON) --version 2>/dev/null || echo missing): Python 3.11 or later is needed;" \
	    "name one with make PYTHON=…"; exit 1; }
	@echo "== creating .venv with $$($(PYTHON) --version)"
	@$(PYTHON) -m venv .venv || { rm -rf .venv; exit 1; }

.venv/.runtime: $(FOUNDATION) | .venv/bin/python
	@echo "== installing throughtime and what it needs into .venv (once; PyTorch is large)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[sound]'
	@touch $@

.venv/.development: $(FOUNDATION) | .venv/bin/python
	@echo "== installing throughtime and the tools of its tests into .venv (once; PyTorch is large)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $@ .venv/.runtime

.venv/.benchmarks: .venv/.development
	@echo "== installing the libraries that throughtime is compared to into .venv (once)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[bench]' || \
	  echo "not all of them install here: the benchmarks leave out those that are missing"
	@touch $@

.venv/.documentation: $(FOUNDATION) | .venv/bin/python
	@echo "== installing throughtime and the tools of its documentation into .venv (once)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[docs]'
	@touch $@ .venv/.runtime
