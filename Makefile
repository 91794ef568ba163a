# Two commands do everything on a fresh machine: `make sweep` and `make test`.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
SWEEP ?= cfg=7,15,20
# Two processes of one thread each use two cores better than one of two.
JOBS ?= 2

.PHONY: help install sweep test check wheel stop clean

help:  ## Show this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

install: $(VENV)/.installed  ## Create the environment in .venv

$(VENV)/.installed: pyproject.toml .ci/constraints.txt .ci/build-constraints.txt hatch_build.py
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade 'pip>=25.3'
	PIP_BUILD_CONSTRAINT=$(CURDIR)/.ci/build-constraints.txt $(BIN)/python -m pip install --quiet \
		--constraint .ci/constraints.txt --editable . --group dev
	@touch $@

sweep: install  ## The main job: three CFG scales side by side (SWEEP='sampler=heun,ddim steps=10' for another)
	$(BIN)/python -m sdviz.sweep $(SWEEP)

# A browser or a server on a busy machine may stumble; what passes when tried again is told as "rerun".
test: install  ## The whole test suite
	HF_HUB_OFFLINE=1 OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(JOBS) --dist worksteal --reruns 2

check: install  ## Style and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

wheel: install  ## Build the wheel into dist/
	$(BIN)/python -m build --wheel

stop: install  ## End the Visdom server that a sweep left running
	$(BIN)/python -m sdviz.serve --stop

clean:  ## Remove what was built; outputs/ stays
	rm -rf $(VENV) dist build .pytest_cache .mypy_cache .ruff_cache sdviz/web/visdom/static
