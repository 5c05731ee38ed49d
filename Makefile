# Two commands are the way in: `make demo` and `make test`. Both set everything up in .venv first.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
NATIVE := $(wildcard setup.py build_ffi.py csrc/*.c csrc/*.h)
JS := tests/devnet/js
JS_READY := $(JS)/node_modules/.ready

SEEDS ?= 100

.PHONY: demo test fuzz binary binary-test lint native-test pytest simulate fresh-seeds mutants clean setup check-tools js-test-setup js-test-setup-if-possible

test: lint native-test js-test-setup-if-possible pytest fresh-seeds binary-test

setup: $(READY)

# The main job, on a local network in the same process.
demo: $(READY)
	$(BIN)/kalepool demo

# What a fresh Debian machine may lack, named in one line.
check-tools:
	@missing=""; \
	command -v $(PYTHON) >/dev/null || missing="$$missing python3"; \
	command -v gcc >/dev/null || missing="$$missing gcc"; \
	if [ -z "$$missing" ]; then \
		$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "error: kalepool needs Python 3.11 or newer; say which with: make PYTHON=python3.12" >&2; exit 1; }; \
		$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || missing="$$missing python3-venv"; \
		$(PYTHON) -c 'import os, sys, sysconfig; sys.exit(not os.path.exists(os.path.join(sysconfig.get_path("include"), "Python.h")))' || missing="$$missing python3-dev"; \
	fi; \
	if [ -n "$$missing" ]; then echo "error: missing$$missing; on Debian: apt-get install$$missing" >&2; exit 1; fi

# PIP_CONSTRAINT, unlike -c, reaches the isolated build too, so that setuptools and cffi are pinned as well.
$(READY): pyproject.toml constraints.txt $(NATIVE) | check-tools
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	PIP_CONSTRAINT=$(CURDIR)/constraints.txt PIP_DISABLE_PIP_VERSION_CHECK=1 $(BIN)/python -m pip install --quiet --editable '.[dev]'
	@touch $@

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# The C tests, each under the sanitizer that finds its kind of mistake. Recipes: tests/native/Makefile.
native-test:
	@$(MAKE) --no-print-directory -j2 --output-sync=target -C tests/native

pytest: $(READY)
	$(BIN)/pytest -n auto

# Guided by coverage, SECONDS for each target. Atheris has wheels for some Pythons alone, so it is no part of `make test`.
FUZZ_TARGETS := configuration csv words values bodies answers
SECONDS ?= 30

fuzz: $(READY)
	PIP_CONSTRAINT=$(CURDIR)/constraints.txt PIP_DISABLE_PIP_VERSION_CHECK=1 $(BIN)/python -m pip install --quiet --editable '.[fuzz]'
	@for target in $(FUZZ_TARGETS); do \
		echo "fuzzing $$target for $(SECONDS) s"; \
		PYTHONPATH=tests $(BIN)/python tests/fuzz/outside.py $$target -max_total_time=$(SECONDS) -timeout=10 -rss_limit_mb=2048 -verbosity=0 -print_final_stats=1 || exit 1; \
	done

# The whole pool under faults, so many seeds of it; a seed that finds something is printed with how to replay it.
simulate: $(READY)
	$(BIN)/python -m tests.faults.simulate --seeds $(SEEDS)

# 150 seeds that belong to this state of the program alone, or as many as two minutes take. One that finds something is printed likewise.
fresh-seeds: $(READY)
	$(BIN)/python -m tests.faults.simulate --fresh --seconds 120

# Mistakes put in on purpose: the simulation must find each. Every change of the program makes other runs, so a search.
mutants: $(READY)
	$(BIN)/pytest -m mutants tests/faults

# One file that needs no Python: dist/kalepool. cffi's parser generates its tables when it is built, not when it runs.
binary: $(READY)
	$(BIN)/pyinstaller --noconfirm --log-level ERROR --onefile --name kalepool --paths src \
		--collect-submodules kalepool --collect-data kalepool --collect-data mnemonic \
		--workpath build/binary --specpath build/binary --distpath dist packaging/entry.py

# It runs where there is no Python to be found, and leaves nothing behind.
binary-test: binary
	env -i TMPDIR=$(CURDIR)/build dist/kalepool demo --farmers 3 --blocks 1
	@test -z "$$(find build -maxdepth 1 -name 'kalepool-demo-*')"

# The JavaScript SDK, for the test that it can farm on a devnet. No script of a package is run to install it.
js-test-setup: $(JS_READY)

$(JS_READY): $(JS)/package.json $(JS)/package-lock.json
	cd $(JS) && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error --fetch-retries=1
	@touch $@

# Without it that test is skipped, and says why.
js-test-setup-if-possible:
	@if ! command -v npm >/dev/null; then echo "note: npm is missing; the JavaScript SDK's test will be skipped" >&2; \
	elif ! $(MAKE) --no-print-directory js-test-setup; then echo "note: npm could not install; the JavaScript SDK's test will be skipped" >&2; fi

clean:
	rm -rf $(JS)/node_modules $(VENV) build dist src/*.egg-info src/kalepool/*.so
