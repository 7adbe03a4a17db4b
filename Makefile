# Two commands: `make repro` and `make test`. Everything they need is installed into .venv on first use.
# `make repro OVERRIDES="experiment=wnut17"` composes other choices; `ARGS="--force download"` is for `dvc repro`.

PYTHON ?= python3.11
OVERRIDES ?=
FAMILIES ?=
ARGS ?=
# the tests of a file share what is slow to make, so a file stays in one process; more processes would take a GB each.
# tests/conftest.py has the order of files; else those with the fewest tests, the slowest ones, would come last
PYTEST := python -m pytest --numprocesses 2 --dist loadfile --no-loadscope-reorder
export PATH := $(CURDIR)/.venv/bin:$(PATH)
unexport VIRTUAL_ENV PYTHONPATH

.DEFAULT_GOAL := help
.PHONY: help install compose repro test test-fast check docs architectures audit bench bench-gpu check-gpu clean

help:  ## what the targets do
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' Makefile | expand -t 12

install: .venv/installed  ## make the environment from pinned dependencies

.venv/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	python -m pip install --quiet --constraint constraints.txt --editable ".[demo,dev,docs]"
	@touch .venv/installed

compose: install  ## compose conf/ into params.yaml
	@stagewright compose $(OVERRIDES)

repro: install  ## compose conf/, run the pipeline, write the report and print the scores
	@stagewright run $(OVERRIDES) -- $(ARGS)

test: install  ## all tests
	@$(PYTEST)

test-fast: install  ## the tests that run no pipeline and train nothing
	@$(PYTEST) -m "not slow"

check: install  ## lint, types, workflows, params.yaml and docs/configuration.md against conf/, spelling and prose
	@ruff check .
	@ruff format --check .
	@mypy
	@zizmor --offline --no-progress --quiet .github stagewright/template/dot_github/workflows/checks.yml
	@stagewright compose --check
	@python -m stages.configuration.reference --check
	@codespell
	@proselint check --config .proselint.json *.md docs/*.md conf/*.yaml conf/*/*.yaml

docs: install  ## build the documentation as a site, into site/
	@NO_MKDOCS_2_WARNING=1 mkdocs build --strict

architectures: install  ## put every architecture of transformers through the pipeline; writes the table of families in docs/models.md
	@python -m tests.architectures $(FAMILIES)

bench: install  ## training beside the tutorial recipe on this CPU; DATA=FOLDER holds wnut17/ and imdb/ (default: the Hub)
	@python -m benchmarks.training wnut17 --steps 0 $(if $(DATA),--data $(DATA)) --out benchmarks/results/wnut17
	@python -m benchmarks.training imdb --steps 24 $(if $(DATA),--data $(DATA)) --out benchmarks/results/imdb

bench-gpu: install  ## what a GPU makes of training and prediction, beside the Trainer's, in 8 minutes; needs no network
	@python -m benchmarks.gpu

check-gpu: install  ## whether packed rows are equal and repeat themselves on this GPU, in 3 minutes; needs no network
	@python -m benchmarks.check_gpu

audit: install  ## look the pinned packages up among the known vulnerabilities; needs the network
	@python -m pip install --quiet --constraint constraints.txt --editable ".[audit]"
	@python -m pip_audit --strict --no-deps --disable-pip --requirement constraints.txt

clean:  ## remove the environment and what the pipeline wrote
	rm -rf .venv data models site *.egg-info
