# What a fresh machine needs is Python 3.11 or 3.12, make, and PyPI: every target makes and fills $(VENV) by itself.
#
#   make PYTHON=/path/to/python3.12 test        another Python
#   make test ARGS="-k store -x"                options for what a target runs

VENV ?= .venv
ARGS ?=
# Processes that run tests. JOBS=0 runs them in one, as a debugger needs it.
JOBS ?= 2
CONSTRAINTS := constraints.txt
RUN := "$(abspath $(VENV))/bin/python"
PIP := $(RUN) -m pip --disable-pip-version-check install --quiet --constraint $(CONSTRAINTS)
# torch is asked for by its exact version, so that a wheel of it lying ready (--find-links) is taken.
TORCH := $(shell grep '^torch==' $(CONSTRAINTS))
IS_SUITABLE := import sys; sys.exit(sys.version_info < (3, 11))

# The first Python that is new enough and really starts (pyenv puts up names that do not).
ifndef PYTHON
PYTHON := $(shell for name in python3.11 python3.12 python3; do \
	"$$name" -c '$(IS_SUITABLE)' 2>/dev/null && echo "$$name" && break; done)
endif

.PHONY: help venv test demo screenshots benchmark evaluate totalsegmentator mir3d fuzz train lint clean
.DEFAULT_GOAL := help

help:
	@echo "make demo        index and search an archive of phantom patients; reports in demo/"
	@echo "make test        the test suite, of the engine and of the Slicer module"
	@echo "make screenshots pictures of the panel and of results; writes Resources/Screenshots"
	@echo "make lint        ruff: rules and format; mypy: types"
	@echo "make benchmark   speed, compared with other engines"
	@echo "make evaluate    quality on the real volumes in ../shared; writes Testing/RESULTS.md"
	@echo "make totalsegmentator DATA=DIR, make mir3d DATA=DIR TABLES=DIR"
	@echo "                 the papers' experiments on public data that you downloaded (docs/PAPERS.md)"
	@echo "make fuzz        mutated files and killed runs against the rules of reading and storing; hours"
	@echo "make train       train the default encoder again on the volumes in ../shared; less than an hour on two cores"
	@echo "make venv        only the Python environment ($(VENV)) with everything for the tests"
	@echo "make clean       remove what the targets made, but not the environment ($(VENV))"

venv: $(VENV)/.installed-test

# Engine and module one after the other: the engine runs without Qt and VTK. Tests of a file share what they set up, so
# that files are shared out among the processes. Status 5 is pytest's for no test chosen (by ARGS).
test: $(VENV)/.installed-test
	$(RUN) -m pytest Testing/engine --numprocesses $(JOBS) --dist loadfile $(ARGS) || test $$? -eq 5
	$(RUN) -m pytest Testing/module --numprocesses $(JOBS) --dist loadfile $(ARGS) || test $$? -eq 5

demo: $(VENV)/.installed-demo
	$(RUN) Testing/demo/demo.py $(ARGS)

screenshots: $(VENV)/.installed-test
	$(RUN) Testing/module/screenshots.py $(ARGS)

benchmark: $(VENV)/.installed-benchmark
	cd Testing && $(RUN) -m benchmarks $(ARGS)

evaluate: $(VENV)/.installed-test
	cd Testing && $(RUN) -m evaluation $(ARGS)

totalsegmentator: $(VENV)/.installed-test
	@test -n "$(DATA)" || { echo "make totalsegmentator DATA=DIR: expected the data set's folder (docs/PAPERS.md)"; exit 1; }
	cd Testing && $(RUN) -m evaluation.totalsegmentator "$(abspath $(DATA))" $(ARGS)

mir3d: $(VENV)/.installed-test
	@test -n "$(DATA)" -a -n "$(TABLES)" || { echo "make mir3d DATA=DIR TABLES=DIR (docs/PAPERS.md)"; exit 1; }
	cd Testing && $(RUN) -m evaluation.mir3d "$(abspath $(DATA))" --tables "$(abspath $(TABLES))" $(ARGS)

fuzz: $(VENV)/.installed-test
	cd Testing && $(RUN) -m fuzz $(ARGS)

train: $(VENV)/.installed-test
	$(RUN) -m Training $(ARGS)

lint: $(VENV)/.installed-test
	$(RUN) -m ruff check .
	$(RUN) -m ruff format --check .
	$(RUN) -m mypy

clean:
	rm -rf demo build dist VolumeRetrieval/*.egg-info .pytest_cache .ruff_cache .mypy_cache
	find Testing VolumeRetrieval -name __pycache__ -type d -prune -exec rm -rf {} +

$(VENV)/bin/python:
	@"$(PYTHON)" -c '$(IS_SUITABLE)' || { \
		echo "Python 3.11 or newer is needed, found '$(PYTHON)': make PYTHON=/path/to/python3.12" >&2; exit 1; }
	"$(PYTHON)" -m venv $(VENV)

# The default encoder runs by onnxruntime here: nothing large is downloaded for the demo.
$(VENV)/.installed-demo: pyproject.toml $(CONSTRAINTS) | $(VENV)/bin/python
	$(PIP) --editable '.[faiss,onnx]'
	@touch $@

$(VENV)/.installed-test: pyproject.toml $(CONSTRAINTS) | $(VENV)/bin/python
	$(PIP) '$(TORCH)'
	$(PIP) --editable '.[test]'
	$(PIP) --editable '.[module-test]' || echo "No wheels for this machine: tests of the Slicer module will be skipped."
	$(RUN) Testing/module/system_libraries.py
	@touch $@

$(VENV)/.installed-benchmark: $(VENV)/.installed-test
	$(PIP) --editable '.[benchmark]'
	@touch $@
