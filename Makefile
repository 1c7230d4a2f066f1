# make demo · test · test-all · lint · docs · bench — each sets up what it needs first.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin

.PHONY: setup demo test test-all lint docs bench clean

setup: $(VENV)/.setup-done

$(VENV)/.setup-done: pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit("hintseg needs Python 3.11 or newer; set PYTHON=") if sys.version_info < (3, 11) else None'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	touch $@

demo: setup
	$(BIN)/hintseg demo --out runs/demo

test: setup
	$(BIN)/python -m pytest --cov=hintseg --cov-report=term-missing:skip-covered

# Everything, with a real Label Studio from the registry in an environment of its own.
test-all: setup $(VENV)-label-studio/.setup-done
	HINTSEG_LABEL_STUDIO=$(abspath $(VENV)-label-studio/bin/label-studio) $(BIN)/python -m pytest

$(VENV)-label-studio/.setup-done:
	$(PYTHON) -m venv $(VENV)-label-studio
	$(VENV)-label-studio/bin/python -m pip install --quiet label-studio
	touch $@

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

docs: setup
	$(BIN)/python -m pip install --quiet --editable '.[docs]'
	$(BIN)/mkdocs build --strict

bench: setup
	$(BIN)/python -m benchmarks.speed
	$(BIN)/python -m benchmarks.parts

clean:
	rm -rf $(VENV) $(VENV)-label-studio runs site
