# Creates .venv once, again when setup.cfg or pyproject.toml change, and runs everything in it.
#
#   make demo      the main job on small real images, from a Keras model to a TFLite file and an energy report
#   make test      the tests, but the slow ones;  make slow  those alone, of TESTS="files and folders" if given
#   make lint      ruff, rules and format
#   make types     mypy
#   make docs      the documentation as a site, in build/site; fails on a broken link
#   make install   only the environment
#   make clean     remove what builds and tests leave; .venv stays

VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
DOCS_STAMP := $(VENV)/.installed-docs
PYTEST_ARGS ?= -n 2 --dist worksteal

export KERAS_BACKEND := tensorflow
export TF_CPP_MIN_LOG_LEVEL ?= 3

.DEFAULT_GOAL := help
.PHONY: help install demo test slow lint types docs clean

help:
	@sed -n 's/^#   //p' Makefile

install: $(STAMP)

$(STAMP): setup.cfg pyproject.toml
	@for python in $(PYTHON) python3.11 python3.12 python3.13 python3 python; do \
	  test -x $(BIN)/pip && break; \
	  $$python -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' 2>/dev/null || continue; \
	  echo "Creating $(VENV) with $$python"; $$python -m venv $(VENV); \
	done; test -x $(BIN)/pip || { \
	  echo "Needs Python 3.11, 3.12 or 3.13 with its venv module; to name one: make install PYTHON=..." >&2; exit 1; }
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[test]'
	@touch $@

demo: $(STAMP)
	$(BIN)/tfmp demo --overwrite

# Two workers share two cores. What pytest rewrites of test files is kept for the next run, a fifth of their import.
test slow: export TF_NUM_INTRAOP_THREADS ?= 1
test slow: export PYTHONDONTWRITEBYTECODE :=
test: $(STAMP)
	$(BIN)/python -m pytest $(PYTEST_ARGS)

slow: $(STAMP)
	$(BIN)/python -m pytest -m slow $(PYTEST_ARGS) $(TESTS)

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(STAMP)
	$(BIN)/mypy

$(DOCS_STAMP): $(STAMP)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[docs]'
	@touch $@

# Needs no network. The variable turns off an advertisement of the theme for another program.
docs: export NO_MKDOCS_2_WARNING := 1
docs: $(DOCS_STAMP)
	$(BIN)/python -m mkdocs build --strict

clean:
	rm -rf build dist *.egg-info .pytest_cache .ruff_cache .mypy_cache .hypothesis
	find tfmp tests recipes tools -name __pycache__ -type d -prune -exec rm -rf {} + 2>/dev/null || true
