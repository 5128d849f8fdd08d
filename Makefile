# What a user and a machine type: each target sets up what it needs. PYTHON, VENV, CONSTRAINTS and WORKERS may be given.

PYTHON ?= python3
VENV ?= .venv
CONSTRAINTS ?=
# Processes that test side by side; 0 for one that can be looked into, with `--pdb` say.
WORKERS ?= 2

EXTRAS_demo := demo,storage
EXTRAS_test := test
EXTRAS_bench := bench
EXTRAS_docs := docs

.PHONY: demo test test-slow test-slurm lint bench docs clean

demo: $(VENV)/.installed-demo
	$(VENV)/bin/python docs/demo.py

test: $(VENV)/.installed-test
	$(VENV)/bin/python -m pytest --numprocesses $(WORKERS) --dist loadfile --costs

test-slow: $(VENV)/.installed-test
	$(VENV)/bin/python -m pytest -m slow

# As root; installs Slurm by apt where it is missing.
test-slurm: $(VENV)/.installed-test
	.ci/slurm.sh install
	$(VENV)/bin/python -m pytest -m slurm tests/slurm # collecting all takes 17 CPU s

lint: $(VENV)/.installed-test
	$(VENV)/bin/ruff check
	$(VENV)/bin/ruff format --check
	$(VENV)/bin/python -m mypy

bench: $(VENV)/.installed-bench
	$(VENV)/bin/python -m benchmarks

# The site, in build/site, by Python 3.12 or newer (ArviZ 1): make docs PYTHON=python3.13. A warning is an error. NOTEBOOKS=off
# leaves the gallery as it is written, without running it.
NOTEBOOKS ?= force
docs: $(VENV)/.installed-docs
	$(VENV)/bin/python -m sphinx --fail-on-warning --keep-going --define nb_execution_mode=$(NOTEBOOKS) --doctree-dir build/doctrees docs build/site

clean:
	rm -rf $(VENV) build dist .pytest_cache .hypothesis .ruff_cache .mypy_cache src/*.egg-info

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

# Bytecode of what no test imports would take pip 20 CPU s.
$(VENV)/.installed-test: export PIP_COMPILE := 0

# The stamp is newer than what it was made from, so pip runs again only when that changes.
$(VENV)/.installed-%: pyproject.toml $(CONSTRAINTS) | $(VENV)/bin/python
	@echo "Installing nutmill and what it needs into $(VENV), and compiling its sampler: a minute or two."
	$(VENV)/bin/python -m pip install --quiet --editable ".[$(EXTRAS_$*)]" $(CONSTRAINTS:%=--constraint %)
	touch $@
