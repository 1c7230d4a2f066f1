# make demo · test · test-all · test-lowest · lint · docs · bench · peers · results · lock · licenses · pictures · reference — each sets up what it needs first.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin

# A file of versions to keep to; continuous integration gives requirements.lock.
LOCK ?=

.PHONY: setup demo test test-all test-lowest lint docs bench peers results lock licenses pictures reference clean

setup: $(VENV)/.setup-done

$(VENV)/.setup-done: pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit("hintseg needs Python 3.11 or newer; set PYTHON=") if sys.version_info < (3, 11) else None'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet $(if $(LOCK),--constraint $(LOCK)) --editable '.[dev]'
	touch $@

demo: setup
	$(BIN)/hintseg demo --out runs/demo

# Tests run torch on one thread each.
WORKERS := --numprocesses=auto --maxprocesses=4 --dist=loadfile

test: setup
	$(BIN)/python -m pytest $(WORKERS) --cov=hintseg --cov-report=term-missing:skip-covered

# Everything, with a real Label Studio from PyPI in an environment of its own.
test-all: setup $(VENV)-label-studio/.setup-done
	HINTSEG_LABEL_STUDIO=$(abspath $(VENV)-label-studio/bin/label-studio) $(BIN)/python -m pytest $(WORKERS)

$(VENV)-label-studio/.setup-done:
	$(PYTHON) -m venv $(VENV)-label-studio
	$(VENV)-label-studio/bin/python -m pip install --quiet label-studio
	touch $@

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

docs: setup
	$(BIN)/python -m pip install --quiet $(if $(LOCK),--constraint $(LOCK)) --editable '.[docs]'
	$(BIN)/mkdocs build --strict

# The lowest versions that pyproject.toml allows; other packages' warnings about them are theirs.
test-lowest:
	$(PYTHON) -m venv $(VENV)-uv
	$(VENV)-uv/bin/python -m pip install --quiet uv
	$(VENV)-uv/bin/uv venv --quiet --python 3.11 $(VENV)-lowest
	VIRTUAL_ENV=$(VENV)-lowest $(VENV)-uv/bin/uv pip install --quiet --resolution lowest-direct --editable '.[dev]'
	$(VENV)-lowest/bin/python -m pytest $(WORKERS) -o filterwarnings=default

# The pages of commands and settings, from the program.
reference: setup
	$(BIN)/python docs/generate.py

pictures: demo
	$(BIN)/python -m pip install --quiet matplotlib
	$(BIN)/python -m docs.pictures runs/demo/run docs/images

lock: setup
	$(BIN)/python -m pip install --quiet uv
	$(BIN)/uv pip compile pyproject.toml --extra dev --extra docs --universal --python-version 3.11 --no-annotate \
	  --no-emit-index-url --custom-compile-command 'make lock' --upgrade --quiet --output-file requirements.lock

licenses: setup
	$(BIN)/python -m pip install --quiet pip-licenses tensorboard
	$(BIN)/python docs/licenses.py $(BIN)/pip-licenses > docs/reference/licenses.md

bench: setup
	$(BIN)/python -m benchmarks.speed
	$(BIN)/python -m benchmarks.parts

clean:
	rm -rf $(VENV) $(VENV)-label-studio $(VENV)-lowest $(VENV)-uv runs site

# hintseg beside other people's tools, in an environment of their own: make peers DATA=folder [HINTS=points] [IMAGES=30]
peers: $(VENV)-peers/.setup-done
	$(VENV)-peers/bin/python -m benchmarks.peers $(DATA) --hints $(or $(HINTS),scribbles) $(if $(IMAGES),--images $(IMAGES)) $(if $(QUICK),--quick)

$(VENV)-peers/.setup-done: benchmarks/peers/requirements.txt
	$(PYTHON) -m venv $(VENV)-peers
	$(VENV)-peers/bin/python -m pip install --quiet \
	  --requirement benchmarks/peers/requirements.txt --editable .
	touch $@

# The results page again, on a few images of each data set in a folder: make results DATA=folder [IMAGES=40]
# In full, for days: make results DATA=folder FULL=1; once, at the end: make results DATA=folder FULL=1 SPLIT=test
results: setup $(VENV)-peers/.setup-done
	$(BIN)/python -m benchmarks.results $(DATA) --peers-python $(VENV)-peers/bin/python \
	  $(if $(IMAGES),--images $(IMAGES)) $(if $(FULL),--full) $(if $(SPLIT),--split $(SPLIT))
