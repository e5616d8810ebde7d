# Two commands matter: `make demo` and `make test`. Both set everything up first.
PYTHON ?= python3
BIN := .venv/bin
FOLDER ?= demo
# A worker takes whole files, because tests of a file share fixtures, in the order that tests/conftest.py sets.
PYTEST := $(BIN)/pytest --numprocesses 2 --dist loadfile --no-loadscope-reorder

.PHONY: help setup demo demo-image demo-table test test-fast test-slurm test-gpu lint lock dag usage clean clean-results clean-demo

help:
	@echo "make demo        make 48 demo videos, run the whole workflow on them, name the report"
	@echo "make demo-image  the same with 96 images, in demo-image"
	@echo "make demo-table  the same on a table: 150 iris flowers, in seconds"
	@echo "make test        run all tests and checks"
	@echo "make test-fast   run the fast unit tests; make test adds the slow ones and whole workflows"
	@echo "make test-slurm  start a real SLURM (as root, where it is installed), run the demo on it and break it"
	@echo "make test-gpu    run the tests that need a GPU; test and test-fast hide GPUs"
	@echo "make setup       only make .venv with everything in it"
	@echo "make lint        only the checks: format, types, Snakemake's own"
	@echo "make lock        update all versions and write requirements.lock"
	@echo "make dag         draw the graph of rules, as in docs/graph.md"
	@echo "make usage       compare requested and used resources of the jobs in FOLDER (demo)"
	@echo "make clean-results  remove results and logs in FOLDER (demo); lists what stays and asks first, never removes videos"
	@echo "make clean       the same and Snakemake's records"
	@echo "make clean-demo  remove the data and results of all demos"

setup: .venv/complete
	@[ ! -s $< ] || [ "$$(cat $<)" = "$(CURDIR)" ] || \
		{ echo ".venv was made in $$(cat $<) and works only there: rm -r .venv, then run make again"; exit 1; }

# Compile bytecode once, here: without it each of the many short Python starts takes three times as long.
.venv/complete: requirements.lock pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(None if (3, 11) <= sys.version_info < (3, 14) else "clipfold needs Python 3.11 to 3.13: make PYTHON=python3.12 ...")'
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check uv
	$(BIN)/uv pip sync --quiet --python $(BIN)/python --require-hashes --compile-bytecode requirements.lock
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --compile-bytecode --editable .
	echo "$(CURDIR)" >$@

demo: setup demo/videos.csv
	$(BIN)/snakemake --profile profiles/local --directory demo --config manifest=videos.csv

demo-table: setup demo-table/iris.csv
	$(BIN)/snakemake --profile profiles/local --directory demo-table --configfile demo-table/config.yaml

demo-table/iris.csv: | setup
	$(BIN)/python -m clipfold.demo.table demo-table

demo/videos.csv: | setup
	$(BIN)/python -m clipfold.demo demo

demo-image: setup demo-image/pictures.csv
	$(BIN)/snakemake --profile profiles/local --directory demo-image --configfile config/images.yaml --config manifest=pictures.csv

demo-image/pictures.csv: | setup
	$(BIN)/python -m clipfold.demo --images demo-image

test: setup lint
	$(PYTEST)

# Without doctests: they import every module with all its libraries in both workers.
test-fast: setup
	$(PYTEST) -m "not (slow or workflow or browser or slurm)" tests/unit

test-slurm: setup
	$(BIN)/pytest -m slurm -rs tests/slurm

# Also on a machine that has Python with PyTorch and no .venv. Only these files: others need libraries that it may lack.
test-gpu:
	PYTHONPATH=src:$$PYTHONPATH $(or $(wildcard $(BIN)/python),$(PYTHON)) -m pytest -m gpu -rs --durations=10 -p no:cacheprovider \
		tests/unit/training/test_gpu.py tests/unit/explain/test_explain.py tests/unit/models/test_embed.py

lint: setup
	$(BIN)/ruff check --quiet
	$(BIN)/ruff format --check --quiet
	$(BIN)/snakefmt --check --line-length 120 Snakefile rules
	$(BIN)/mypy
	$(BIN)/snakemake --lint --config manifest=tests/manifest.csv

lock: setup
	$(BIN)/uv pip compile --quiet --universal --all-extras --generate-hashes \
		--custom-compile-command "make lock" --upgrade --output-file requirements.lock pyproject.toml

dag: setup
	@$(BIN)/snakemake --config manifest=tests/manifest.csv --rulegraph mermaid-js

usage: setup
	@$(BIN)/clipfold costs $(FOLDER)/results

clean-results:
	@$(PYTHON) workflow/clean.py $(FOLDER)

clean:
	@$(PYTHON) workflow/clean.py --all $(FOLDER)

clean-demo:
	rm -rf demo demo-image demo-table
