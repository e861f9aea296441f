# The front door. Needs Python 3.11 to 3.14, git and make; everything else comes from the package registry into .venv.
# Written for GNU make from 3.81 (macOS) on, POSIX sh, and on Windows the sh that comes with Git.

# The first of these that is such a Python is used; `make PYTHON=/path/to/python run` uses that one.
PYTHON ?= python3 python3.14 python3.13 python3.12 python3.11 python

# What is handed to pytest: `make test ARGS="-k reload"`.
ARGS ?=

VENV := .venv
ifeq ($(OS),Windows_NT)
BIN := $(VENV)/Scripts
else
BIN := $(VENV)/bin
endif

# Every package is pinned with its hash and installed as a wheel: nothing is resolved, and no package's code runs, while
# installing. Plain pip compiles to byte code as it installs, which the first start of the CLI is glad of.
INSTALL := $(BIN)/python -m pip install -qq --disable-pip-version-check --no-input --no-deps
LOCKED := --require-hashes --only-binary :all: -r

# A stamp says that this list is installed, and is older than its list when that was changed.
RUN_READY := $(VENV)/.ready-to-run
TEST_READY := $(VENV)/.ready-to-test

QUESTION := Hello! What can you do for me?

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.NOTPARALLEL:
.PHONY: help install run stop test lint types imports format bench bench-peers docs wasm lock clean

help: ## Show this list
	@awk 'BEGIN { FS = ":.*## " } /^[a-z-]+:.*## / { printf "  make %-11s %s\n", $$1, $$2 }' Makefile

install: $(RUN_READY) ## Install Caxton into .venv, and nothing else

run: $(RUN_READY) ## Install, start the server, and get an answer from the example agent
	@$(BIN)/caxton server status >/dev/null 2>&1 || $(BIN)/caxton server start >/dev/null
	@$(BIN)/caxton server status | sed -n 1p
	@$(BIN)/caxton agent show hello >/dev/null 2>&1 || $(BIN)/caxton create --config examples/hello.toml >/dev/null
	@printf '\nYou:   %s\nhello: ' "$(QUESTION)"
	@$(BIN)/caxton message send hello --conversation new "$(QUESTION)"
	@printf '\n%s\n\n' "Unless you chose another, that was the embedded model: tiny, private, and often wrong. Go on with"
	@printf '  %-27s  %s\n' \
	    "$(BIN)/caxton chat hello" "talk to it" \
	    "$(BIN)/caxton --help" "everything else that you can ask of it" \
	    "tutorial/first-agent.md" "your own agent in ten minutes, and a better model" \
	    "http://127.0.0.1:$${CAXTON_PORT:-8080}/docs" "the HTTP API" \
	    "make stop" "stop the server; agents and conversations are kept"
	@printf '\n%s\n' "The agent is a file: edit $${CAXTON_DATA_DIR:-~/.caxton}/agents/hello.toml, save: it has changed."

stop: ## Stop the server
	@$(BIN)/caxton server stop

test: lint types imports ## Check style, types and import rules, then run all tests (ARGS="-k words" for some)
	@echo "== tests"
	@$(BIN)/python -m pytest $(ARGS)

lint: $(TEST_READY) ## Check style and format
	@echo "== lint"
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .

types: $(TEST_READY) ## Check types
	@echo "== types"
	@$(BIN)/mypy

imports: $(TEST_READY) ## Check who imports whom
	@echo "== imports"
	@$(BIN)/lint-imports --no-logo

format: $(TEST_READY) ## Format, and mend what can be mended by itself
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

bench: $(TEST_READY) ## Run the benchmarks
	@$(BIN)/python -m benchmarks $(ARGS)

bench-peers: $(TEST_READY) ## Install the message buses of others that ours is measured against, into .peers
	@$(BIN)/python -m benchmarks.peers

docs: $(TEST_READY) ## Write the reference pages anew, from the code
	@cd tests && ../$(BIN)/python -m support.reference

wasm: $(TEST_READY) ## Build the example WebAssembly servers into dist/wasm
	@$(BIN)/python examples/wasm/build.py dist/wasm

# The lists are made from pyproject.toml alone: this machine's own indexes and link pages leave no trace in them.
# What is in a list stays at its version unless it must move; `make lock ARGS=--upgrade` moves everything.
UV := .venv-lock
LOCK := env -u UV_INDEX -u UV_EXTRA_INDEX_URL -u UV_FIND_LINKS $(subst $(VENV),$(UV),$(BIN))/uv pip compile --quiet \
    --universal --generate-hashes --no-annotate --no-emit-index-url --no-emit-find-links --no-sources \
    --custom-compile-command "make lock" $(ARGS) pyproject.toml requirements/run.in

lock: $(VENV)/pyvenv.cfg ## Write the pinned lists in requirements/ anew (ARGS=--upgrade for newer versions)
	@test -d $(UV) || $(BIN)/python -m venv $(UV)
	@$(subst $(VENV),$(UV),$(BIN))/python -m pip install -qq --disable-pip-version-check --upgrade uv
	@$(LOCK) --output-file requirements/run.txt
	@$(LOCK) --group dev --constraints requirements/run.txt --output-file requirements/test.txt

clean: ## Remove what make and the tools made; agents and conversations stay
	rm -rf $(VENV) $(UV) .peers dist .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(VENV)/pyvenv.cfg:
	@for python in $(PYTHON); do \
	    if "$$python" -c 'import ensurepip, sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 14))' 2>/dev/null; \
	    then echo "Making $(VENV) with $$("$$python" --version)"; exec "$$python" -m venv $(VENV); fi; \
	done; \
	echo "None of '$(PYTHON)' is a Python 3.11 to 3.14 with its venv module." >&2; \
	echo "Install one (on Debian and Ubuntu: apt-get install python3 python3-venv)," >&2; \
	echo "or name it: make PYTHON=/path/to/python3.13 run" >&2; \
	exit 1

$(RUN_READY): $(VENV)/pyvenv.cfg requirements/run.txt pyproject.toml
	@echo "Installing Caxton into $(VENV) (the first time takes a minute: the model's weights come with it)"
	@$(INSTALL) $(LOCKED) requirements/run.txt
	@$(INSTALL) --no-build-isolation --editable .
	@$(BIN)/python -m compileall -q caxton
	@$(BIN)/python -c 'import xllamacpp' || { \
	    echo "The embedded model's library does not load. It wants the OpenMP runtime" >&2; \
	    echo "(on Debian and Ubuntu: apt-get install libgomp1), on Windows the Visual C++ runtime." >&2; exit 1; }
	@touch $@

$(TEST_READY): $(RUN_READY) requirements/test.txt
	@echo "Installing what the tests need"
	@$(INSTALL) $(LOCKED) requirements/test.txt
	@touch $@
