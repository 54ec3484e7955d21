# `make` alone lists the targets. Another interpreter: make PYTHON=python3.13 tune
PYTHON ?= python3
VENV = .venv
BIN = $(VENV)/bin
STAMP = $(VENV)/.installed
OLDER = .venv-neuron8
IMPORTED = distributed, efel, matplotlib, neuron, pandas, pynwb, pytest, sklearn.metrics, sphinx.application, \
	gbar.agent.tuning, gbar.agent.ui.server, gbar.scripts.main
ON_OLDER = tests/models/test_hh.py tests/sim/cell/test_cell.py tests/sim/engine/test_response.py \
	tests/sim/engine/test_steps.py tests/sim/mechanisms/test_mechanisms.py
CLEAN = $(VENV) $(OLDER) build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis

help: ## list the targets
	@awk -F ':.*## ' '/^[.a-z0-9-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' Makefile

.venv: $(STAMP) ## install gbar and everything it needs into .venv

tune: $(STAMP) ## tune the bundled motoneuron to the fast rat cell; the answer is in runs/rat_fast
	@$(BIN)/gbar tune models/motoneuron --measurements models/motoneuron/measurements/rat_fast.csv --out runs/rat_fast

ui: $(STAMP) ## the window, on the bundled motoneuron
	@$(BIN)/gbar ui models/motoneuron

test: lint ## everything CI runs: ruff, mypy, pytest
	$(BIN)/mypy
	$(BIN)/pytest -n 2 --dist loadfile --no-loadscope-reorder

test-neuron8: $(OLDER)/.installed ## a fast part of the tests on NEURON 8
	@$(OLDER)/bin/python -m pytest -q $(ON_OLDER)

# Only what simulating needs: no JAX, no editable install. The checkout is found because pytest runs in it.
$(OLDER)/.installed: pyproject.toml constraints.txt
	@echo "Creating $(OLDER) …"
	@$(PYTHON) -m venv --clear $(OLDER)
	@grep -v '^neuron==' constraints.txt > $(OLDER)/constraints.txt
	@$(OLDER)/bin/python -m pip install -qq --no-compile --disable-pip-version-check -c $(OLDER)/constraints.txt neuron==8.2.7 \
		efel numpy openpyxl psutil pydantic rich scipy typer hypothesis pytest pytest-timeout
	@env -u PYTHONDONTWRITEBYTECODE NEURON_MODULE_OPTIONS=-nogui $(OLDER)/bin/python -c 'import efel, neuron, openpyxl, pydantic, pytest, scipy.stats, typer'
	@touch $@

lint: $(STAMP) ## ruff: rules and formatting
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

format: $(STAMP) ## let ruff fix and format the code
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs: reference ## these pages as a site to search, in build/site
	@$(BIN)/python -m sphinx -q -W -d build/doctrees docs build/site
	@echo "Open build/site/index.html"

reference: $(STAMP) ## make the tables in docs/ anew, from the code that they describe
	@$(BIN)/python scripts/make_reference.py

cells: $(STAMP) ## remake the target cells in models/motoneuron/measurements
	@$(BIN)/python scripts/bench/make_cells.py && $(BIN)/python scripts/bench/make_cells.py kinetics.toml

clean: ## remove .venv and what was built; runs/ stays
	@for path in $(CLEAN) *.egg-info; do \
		if [ -e "$$path" ]; then printf 'Removing %s\n' "$$path"; rm -rf "$$path"; fi; \
	done
	@find . \( -path ./.git -o -path ./runs \) -prune -o -type d \
		\( -name __pycache__ -o -name x86_64 -o -name arm64 -o -name aarch64 \) -prune -print -exec rm -rf {} + \
		| sed 's|^\./|Removing |'

# Everything that could be missing is looked for before anything is created. The compiler asked for is the one that
# nrnivmodl calls: $CXX, else the one Python was built with. It has to compile: macOS has a c++ that only offers to
# install one.
NO_PYTHON = Missing: Python 3.11 or newer, as $(PYTHON). Install it: apt-get install python3 python3-venv (Debian 12, \
	Ubuntu 24.04 or newer), brew install python (macOS); or name one that is there: make PYTHON=python3.13
NO_VENV = Missing: the venv module of $(PYTHON). Install it: apt-get install python3-venv (Debian, Ubuntu)
NO_COMPILER = Missing: a C++ compiler (NEURON's nrnivmodl calls $$cxx). Install it: apt-get install g++ (Debian, \
	Ubuntu), dnf install gcc-c++ (Fedora), xcode-select --install (macOS); or name one that is there: export CXX=clang++

$(STAMP): pyproject.toml constraints.txt
	@ok=yes; \
	if ! $(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then \
		echo "$(NO_PYTHON)" >&2; ok=no; \
	elif ! $(PYTHON) -c 'import ensurepip, venv' 2>/dev/null; then \
		echo "$(NO_VENV)" >&2; ok=no; \
	fi; \
	cxx=$${CXX:-`$(PYTHON) -c 'import sysconfig; print(sysconfig.get_config_var("CXX") or "")' 2>/dev/null || :`}; \
	cxx=$${cxx:-c++}; \
	if ! echo '#include <vector>' | $$cxx -std=c++17 -x c++ -fsyntax-only - 2>/dev/null; then \
		echo "$(NO_COMPILER)" >&2; ok=no; \
	fi; \
	[ $$ok = yes ] || exit 2
	@if $(BIN)/python -c '' 2>/dev/null; then \
		echo "Updating $(VENV) …"; \
	else \
		echo "Creating $(VENV) (about a minute) …"; $(PYTHON) -m venv --clear $(VENV); \
	fi
	@$(BIN)/python -m pip install -qq --no-compile --disable-pip-version-check -c constraints.txt -e '.[dev,bench,dask,recordings,parquet,notebook,ui,docs]'
	@# Found where packages are looked for, and so before a folder "gbar" that only holds this checkout, as $$PWD/gbar may.
	@ln -sfn "$(CURDIR)/gbar" "$$($(BIN)/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/gbar"
	@# Once here: where PYTHONDONTWRITEBYTECODE is set, every process would compile anew what it imports.
	@env -u PYTHONDONTWRITEBYTECODE NEURON_MODULE_OPTIONS=-nogui $(BIN)/python -c 'import $(IMPORTED)'
	@touch $(STAMP)
	@echo "Installed. The command is $(BIN)/gbar"

.PHONY: help .venv tune ui test test-neuron8 lint format docs reference cells clean
