# Kadanoff. `make repro` and `make test` work on a bare machine with Python >= 3.11.
PYTHON ?= python3
PORT   ?= 5000
VENV   := .venv
BIN    := $(VENV)/bin
export PATH := $(CURDIR)/$(BIN):$(PATH)

.PHONY: help setup repro test test-all ui report readme pretrained docs lint bench clean full-scale

help:  ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(VENV)/.installed  ## make .venv with the pinned dependencies

$(VENV)/.installed: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python >= 3.11 is needed: make PYTHON=python3.11")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	@touch $@

# lines that share no stage run two at a time, the longest first (`cat`: two bars share no terminal); the last `dvc repro` finds nothing to do, or what failed
define STUDIES
pretrain* classify* attention
simulate@coarsen superres* exponents thermalize
upsample* grow*
coarsen@* coarsen_compare coarsen_curve
block_rule* mcrg
endef
export STUDIES

repro: setup  ## simulate, train, compare: everything that changed; then list every run in MLflow, and write the report
	printf '%s\n' "$$STUDIES" | xargs -P 2 -I % sh -fc 'dvc --wait-for-lock repro --glob % 2>&1 | cat'
	dvc repro
	kadanoff runs sync
	kadanoff report

full-scale: setup  ## all of it at the papers' sizes (full-scale.params), as a DVC experiment; on a GPU if there is one
	dvc exp run $$(sed -n 's/^[^#]/-S &/p' full-scale.params)

test: setup  ## the fast tests, in some minutes
	pytest -m "not slow" -n auto --dist loadfile

test-all: setup  ## all tests, with the pipelines in temporary clones
	pytest -n auto --dist loadfile

ui: setup  ## browse all runs in MLflow on http://127.0.0.1:5000, or with `make ui PORT=5001` on another port
	kadanoff ui --port $(PORT)

report: setup  ## write reports/index.html: all results on one page
	kadanoff report

readme: setup  ## fill the tables of README.md and docs/ from the records
	$(BIN)/python docs/readme.py

pretrained: setup  ## copy the small trained networks into the package
	$(BIN)/python docs/pretrained.py

docs: setup  ## build the guide into docs/_build/html, with its notebooks executed
	sphinx-build -W --keep-going -q -b html docs docs/_build/html

lint: setup  ## ruff and mypy
	ruff check .
	ruff format --check .
	mypy

bench: setup  ## speed of the samplers beside their peers
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[bench]'
	$(BIN)/python -m benchmarks --output reports/bench.json

clean:  ## remove the environment (data, models and runs stay)
	rm -rf $(VENV)
