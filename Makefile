# Python >= 3.11 and make are all this assumes; each target builds the environment it needs and keeps it.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
PARITY := .venv-parity/bin
COURSE := .venv-notebooks/bin

.PHONY: help demo test lint parity golden gpu bench claims table notebooks notebook-tests notebook-outputs book clean
help:           ## list the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/'

check-python:
	@$(PYTHON) -c 'import sys; v = sys.version_info[:3]; sys.exit(None if v >= (3, 11) else "refclip needs Python 3.11 or newer; %s is %d.%d.%d. Name another: make PYTHON=python3.12 demo" % ((sys.executable,) + v))'

# one environment; a stamp for each set of extras, so that `make demo` does not wait for the test tools
$(VENV)/.demo: pyproject.toml | check-python
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[demo]'
	@touch $@

$(VENV)/.dev: pyproject.toml | check-python
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[demo,dev]'
	@touch $@

# torch lives apart, so that nothing else can lean on it
.venv-parity/.done: pyproject.toml | check-python
	test -x $(PARITY)/python || $(PYTHON) -m venv .venv-parity
	$(PARITY)/python -m pip install --quiet --disable-pip-version-check -e '.[demo,dev,parity]'
	@touch $@

# Jupyter and Sphinx, for the course and the book
.venv-notebooks/.done: pyproject.toml | check-python
	test -x $(COURSE)/python || $(PYTHON) -m venv .venv-notebooks
	$(COURSE)/python -m pip install --quiet --disable-pip-version-check -e '.[notebooks,book]'
	@touch $@

demo: $(VENV)/.demo  ## score real photographs, print a table, write heat maps to demo-output/
	$(BIN)/python examples/demo.py --out demo-output

test: $(VENV)/.dev   ## every test that needs neither torch nor a GPU
	$(BIN)/python -m pytest -q -n auto --ignore=tests/parity

lint: $(VENV)/.dev   ## format, lint and types
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/pyright --pythonpath $(BIN)/python

parity: .venv-parity/.done  ## recompute every comparison against torch and open_clip, and check the golden files
	$(PARITY)/python -m pytest -q tests/parity

golden: .venv-parity/.done  ## write the golden files anew from open_clip
	$(PARITY)/python -m tests.parity.golden

gpu: $(VENV)/.dev    ## the tests that need CuPy and a GPU; skipped, and counted, without
	$(BIN)/python -m pytest -q tests/gpu -rs

bench: .venv-parity/.done   ## the towers beside torch, onnxruntime and clippie; prompt learning beside torch
	$(PARITY)/python benchmarks/towers.py
	$(PARITY)/python benchmarks/training.py

claims: $(VENV)/.demo  ## the papers' claims on the toy benchmark, five seeds: docs/claims.md; two to three hours, goes on after a kill
	$(BIN)/python benchmarks/claims.py

table: $(VENV)/.demo   ## every method on the toy benchmark: the README's table
	$(BIN)/python benchmarks/table.py

notebooks: .venv-notebooks/.done  ## open the course in JupyterLab; in a container: make notebooks LAB='--no-browser --allow-root'
	$(COURSE)/jupyter lab --ServerApp.root_dir=notebooks $(LAB)

notebook-tests: .venv-notebooks/.done  ## run every notebook in Jupyter, as given and solved
	$(COURSE)/python -m pytest -q tests/notebooks

notebook-outputs: $(VENV)/.dev  ## execute the notebooks and write the .ipynb that are kept, on a quiet machine
	$(BIN)/python -m notebooks.build make

book: .venv-notebooks/.done  ## a static site of the course, the papers' equations and the library: build/book/html
	$(COURSE)/python docs/book.py

clean:          ## remove the environments and what the demo wrote
	rm -rf $(VENV) .venv-parity .venv-notebooks demo-output build
