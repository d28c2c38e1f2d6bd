# `make help` lists what there is. Each target works alone on a fresh machine with Python 3.11 to 3.13.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

SUITABLE := import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))
PYTHON ?= $(shell for name in python3 python3.13 python3.12 python3.11 python; do \
	$$name -c '$(SUITABLE)' >/dev/null 2>&1 && { command -v $$name; break; }; done)
BIN := .venv/bin
CLASS := _build/class
# Where the peers of benchmarks are that do not come with the course.
PEERS ?= _build/peers
# One thread a process: the builds and tests below already run two processes.
export OMP_NUM_THREADS ?= 1
# nbgrader starts `alembic` by name, and notebooks start `python3`.
export PATH := $(CURDIR)/$(BIN):$(PATH)

.PHONY: help course test test-fast book pdf links colab assignments public grade-sample lint peers bench bench-grading clean

help: ## list the targets
	@echo "nlp_course: an executable course in natural language processing"
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' \
		| while IFS=$$'\t' read -r name text; do printf '  make %-13s %s\n' "$$name" "$$text"; done

course: .venv/.installed ## book, assignments and a graded sample class; about 12 minutes the first time
	@echo "course: builds the book, releases the assignments, grades the sample class (about 12 minutes the first time)"
	@$(MAKE) book
	@$(MAKE) assignments
	@$(MAKE) grade-sample
	@echo
	@echo "The book        $(CURDIR)/_build/html/index.html"
	@echo "For students    $(CURDIR)/assignments"
	@echo "Marks           $(CURDIR)/$(CLASS)/reports"
	@echo "Gradebook       $(CURDIR)/$(CLASS)/gradebook.db"
	@echo "Feedback        $(CURDIR)/$(CLASS)/feedback"

book: .venv/.installed ## the book, each page's cells run; about 10 minutes, seconds when nothing changed
	@echo "book: runs the pages and builds _build/html (about 10 minutes; under 20 seconds when nothing changed)"
	@$(BIN)/python book/_ext/build.py $(if $(DATA),--data $(DATA))

pdf: book ## the book on paper, _build/nlp_course.pdf; about 3 minutes
	@echo "pdf: prints the pages by Chromium to _build/nlp_course.pdf (about 3 minutes)"
	@$(BIN)/python book/_ext/edition.py

links: book ## ask whether what the book links to elsewhere is there; about 5 minutes
	@echo "links: asks each address in the book, and lists those that do not answer (about 5 minutes)"
	@$(BIN)/jupyter-book build book --config _config.yml --path-output . --builder custom --custom-builder linkcheck -q

colab: book ## run students' notebooks with Colab's versions: all, NAMES=…, or those CHANGED=COMMIT; about 30 minutes
	@echo "colab: runs notebooks as Colab would (about a minute each; the first time 2 more to install)"
	@$(BIN)/python tests/colab/run_notebooks.py $(NAMES) $(if $(CHANGED),--changed $(CHANGED)) $(if $(MOST),--most $(MOST))

assignments: .venv/.installed ## what students get, made from solutions/; about 10 seconds
	@echo "assignments: releases solutions/ to assignments/ (about 10 seconds)"
	@if [ -d solutions ]; then $(BIN)/nlp-course release; \
		else echo "  skipped: the public copy of the course comes without solutions/"; fi

public: .venv/.installed ## the public copy, without solutions/, to DEST=FOLDER; about 30 seconds
	@if [ -z "$(DEST)" ]; then echo "public: name a folder, make public DEST=../course-public" >&2; exit 1; fi
	@echo "public: copies what is committed to $(DEST), if it tells no answer (about 30 seconds)"
	@$(BIN)/nlp-course publish "$(DEST)"

grade-sample: .venv/.installed ## grade a made-up class; about 1 minute
	@echo "grade-sample: makes a class, grades it, writes marks and feedback under $(CLASS) (about 1 minute)"
	@if [ -d solutions ]; then $(BIN)/nlp-course sample --out $(CLASS); \
		else echo "  skipped: the public copy of the course comes without solutions/"; fi

test: .venv/.installed ## all tests, book and browser included; about 45 minutes
	@echo "test: runs all tests, the book's build included (about 45 minutes)"
	@$(BIN)/pytest -n 2 --dist loadfile $(if $(REQUIRE),--require "$(REQUIRE)") $(PYTEST_ARGS)

test-fast: .venv/.installed ## unit tests only; about 3 minutes
	@echo "test-fast: runs the unit tests (about 3 minutes)"
	@$(BIN)/pytest -n 2 -m "not (book or browser or assignments or grading or slow)" $(PYTEST_ARGS)

lint: .venv/.installed ## style, types and spelling; about 20 seconds
	@echo "lint: ruff, mypy, codespell, notebooks without outputs (about 20 seconds)"
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/codespell
	@$(BIN)/nbstripout --keep-id --verify $$(find assignments book solutions -name '*.ipynb' -not -path '*/.*' 2>/dev/null)

peers: ## whom bench measures beside and does not come with the course, to PEERS=FOLDER; about 10 minutes
	@echo "peers: gets and builds nanoGPT, GloVe, KenLM, TRL, tiktoken, Otter to $(PEERS) (about 10 minutes)"
	@PEERS="$(PEERS)" PYTHON="$(PYTHON)" benchmarks/peers.sh

bench: .venv/.installed ## our speed beside the peers', to benchmarks/RESULTS.md: all, or ONLY="NAMES"; about an hour
	@echo "bench: measures beside the peers that are here (make peers) and writes benchmarks/RESULTS.md (about an hour)"
	@PEERS="$(PEERS)" $(BIN)/python -m benchmarks $(if $(ONLY),--only $(ONLY))

bench-grading: .venv/.installed ## grading beside nbgrader on 20 submissions; about 2 minutes
	@echo "bench-grading: grades 20 submissions, and the same with nbgrader (about 2 minutes)"
	@if [ -d solutions ]; then $(BIN)/python -m benchmarks.grading --size 20 --stock 20; \
		else echo "  skipped: the public copy of the course comes without solutions/"; fi

clean: ## remove what was generated, except .venv
	@echo "clean: removes _build, notebooks and caches (a second)"
	@for found in $$(find _build -name gradebook.db -o -name received 2>/dev/null); do \
		if [ ! -e "$${found%/*}/ABOUT.txt" ]; then \
			echo "$${found%/*} holds a class that no sample made; move it first, and name its new folder" \
				"in course.toml" >&2; exit 1; fi; done
	@rm -rf _build notebooks build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis

.venv/.installed: requirements.txt pyproject.toml
	@if [ -z "$(PYTHON)" ]; then \
		found=$$(command -v python3 >/dev/null && python3 --version || echo "no python3"); \
		echo "This needs Python 3.11, 3.12 or 3.13; here is $$found. Install one (python.org, or your" \
			"package manager), or name it: make PYTHON=/path/to/python3.12" >&2; exit 1; fi
	@if ! $(PYTHON) -c 'import ensurepip, venv' 2>/dev/null; then \
		echo "$(PYTHON) cannot make virtual environments; on Debian and Ubuntu: apt-get install python3-venv" >&2; exit 1; fi
	@echo "install: makes .venv with $$($(PYTHON) --version) and installs requirements.txt (2 to 5 minutes, 2 GB)"
	@$(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install --disable-pip-version-check --progress-bar on -q -r requirements.txt
	@PYTHONWARNINGS=ignore $(BIN)/python -m pip install --disable-pip-version-check -q --no-deps -e .
	@touch $@
