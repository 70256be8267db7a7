# make demo    train and evaluate a small detector on generated data, draw what it finds (10 minutes on 2 cores)
# make demo-photos PHOTOS=FOLDER   the same on your own photos with boxes, in half an hour or BUDGET=1h
# make test    the tests
# make test-kernels   the numeric tests with the kernels of other CPUs, see docs/testing.md; with SHORT=1 in three minutes
# make chaos   whether a run of two processes survives thirty kills, and the loss of a machine, see docs/scaling.md
# make soak    every reader with 10,000 damaged files (or COUNT), every call of the file layer hit by faults (or each ninth by FAULTS=9),
#              runs of 10,000 steps (or STEPS); hours, docs/reliability.md has the tables. HOURS=8: less of each, with new seeds until
#              the hours are over. The report is build/soak.md
# make mutants MODULE=resdet/ops/nms.py   whether the tests notice small mistakes in a module or a folder, see docs/testing.md
# make lint    ruff, mypy, import-linter
# make docs    the documentation as a site, build/site/index.html; a broken link or a page that is left out fails
# make venv    only the environment, .venv
# make clean   remove .venv and everything that was built or generated
#
# make demo PYTHON=/path/to/python uses that environment as it is; nothing is installed. Without PYTHON, .venv is made with
# BASE_PYTHON and the package is installed in it. Nothing is written outside this folder.

SHELL := /bin/bash
BASE_PYTHON ?= python3
VENV := .venv

ifdef PYTHON
PY := $(PYTHON)
else
PY := $(VENV)/bin/python
RUNTIME := $(VENV)/.runtime
DEVELOPMENT := $(VENV)/.development
endif

# caches that libraries would put into the home directory
export MPLCONFIGDIR := $(CURDIR)/build/cache/matplotlib
export TORCH_HOME := $(CURDIR)/build/cache/torch
export XDG_CACHE_HOME := $(CURDIR)/build/cache
export PIP_NO_CACHE_DIR := 1
export PIP_DISABLE_PIP_VERSION_CHECK := 1

# tests run side by side: threads sleep while they wait, for spinning ones are several times slower when others want the processors
test test-kernels chaos soak mutants: export OMP_WAIT_POLICY := passive

.PHONY: venv demo demo-photos test test-kernels chaos soak mutants lint docs clean

venv: $(RUNTIME)

$(VENV)/bin/python:
	$(BASE_PYTHON) -m venv $(VENV)

$(VENV)/.runtime: pyproject.toml setup.py | $(VENV)/bin/python
	$(VENV)/bin/python -m pip install --quiet --editable .
	@touch $@

$(VENV)/.development: pyproject.toml setup.py | $(VENV)/bin/python
	$(VENV)/bin/python -m pip install --quiet --editable '.[dev]'
	@touch $(VENV)/.runtime $@

# the detector of the demo begins with the demo's own narrow classifier, not with ImageNet's weights
DEMO_DET = model.backbone.width=32 model.backbone.weights=demo/cls/model.safetensors model.freeze_at=1 \
	model.roi.positive_fraction=0.5 run.batch=4 optimizer.lr=0.02

demo: $(RUNTIME)
	@rm -rf demo
	$(PY) -m resdet data make shapes demo/data --train 1000 --val 200 --size 224 --seed 0
	$(PY) -m resdet train-cls --config demo_cls
	$(PY) -m resdet train-det --data demo/data --output demo/det --budget 5min $(DEMO_DET)
	@echo
	@echo "Numbers:     demo/det/metrics.json (the table above), demo/cls/metrics.json"
	@echo "Pictures:    demo/det/report/detections.png (beside the ground truth), demo/det/report/curves.png, demo/cls/report/curves.png"
	@echo "Next:        $(PY) -m resdet predict --weights demo/det/model.safetensors demo/data/images/val --output demo/predict"
	@echo "Your photos: make demo-photos PHOTOS=FOLDER, which is $(PY) -m resdet train-det --data FOLDER; docs/own_data.md"

demo-photos: $(RUNTIME)
	@test -n "$(PHOTOS)" || { echo "make demo-photos PHOTOS=FOLDER, a folder of photos with boxes; BUDGET=1h for another time than 30min"; exit 2; }
	$(PY) -m resdet train-det --data "$(PHOTOS)" --output demo/photos $(if $(BUDGET),--budget $(BUDGET))
	@echo
	@echo "Pictures:    demo/photos/report/detections.png (beside the ground truth), demo/photos/report/curves.png"
	@echo "Next:        $(PY) -m resdet predict --weights demo/photos/model.safetensors OTHER_PHOTOS --output demo/photos/found"

# a test that takes a quarter of an hour hangs: where it does is printed, and it has failed
test: HANGS = -o faulthandler_timeout=900 -o faulthandler_exit_on_timeout=true
# one more than there are processors, for some tests wait for processes and for time to pass
test: WORKERS = $(shell $(PY) -c 'import os; print((os.cpu_count() or 1) + 1)')
test: $(DEVELOPMENT)
	@mkdir -p build
	$(PY) -m pytest -q -n $(WORKERS) --maxprocesses 8 --dist worksteal --basetemp build/pytest $(HANGS)

test-kernels: $(DEVELOPMENT)
	@mkdir -p build
	$(PY) tests/kernels.py $(if $(SHORT),--short)

chaos: $(DEVELOPMENT)
	CHAOS_KILLS=30 $(PY) -m pytest -q tests/distributed/test_elastic.py

# with HOURS, rounds of about an hour
soak: $(DEVELOPMENT)
	$(PY) tests/faults/soak.py --hours $(or $(HOURS),0) --count $(or $(COUNT),$(if $(HOURS),500,10000)) \
		--every $(or $(FAULTS),$(if $(HOURS),9,1)) --steps $(or $(STEPS),$(if $(HOURS),1000,10000))

mutants: $(DEVELOPMENT)
	$(PY) tests/mutants.py $(MODULE) $(if $(COUNT),--count $(COUNT)) $(if $(SEED),--seed $(SEED))

lint: $(DEVELOPMENT)
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(PY) -m mypy
	$(PY) -c 'from importlinter.cli import lint_imports_command as lint; lint(["--no-logo"])'

docs: $(DEVELOPMENT)
	NO_MKDOCS_2_WARNING=1 $(PY) -m mkdocs build
	@echo "build/site/index.html opens from disk; its search needs a server: $(PY) -m http.server --directory build/site"

clean:
	rm -rf $(VENV) build dist demo *.egg-info .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
