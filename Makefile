# setup, demo, test, test-slow, coverage, docs, bench, bench-quick: each installs what it needs first; nothing outside .venv is touched
# except, for root on Debian or Ubuntu, the system libraries of Qt.

PYTHON ?= python3
BIN := .venv/bin
INSTALLED := .venv/.installed
DOCS_INSTALLED := .venv/.docs-installed

# What a Qt window needs from the system, with Mesa to draw and Xvfb to show it on a machine without a screen.
SYSTEM_PACKAGES := libdbus-1-3 libegl1 libfontconfig1 libgl1 libgl1-mesa-dri libxcb-cursor0 libxcb-icccm4 \
	libxcb-image0 libxcb-keysyms1 libxcb-randr0 libxcb-render-util0 libxcb-shape0 libxcb-xinerama0 \
	libxkbcommon-x11-0 xauth xvfb

# Benchmarks open real napari viewers: on a virtual screen where there is one, else on Qt's offscreen platform.
WITH_SCREEN = $(if $(shell command -v xvfb-run),\
	LIBGL_ALWAYS_SOFTWARE=1 QT_QPA_PLATFORM=xcb xvfb-run -a -s "-screen 0 1600x1200x24",\
	QT_QPA_PLATFORM=offscreen)

# Tests do, too: each process on a screen of its own (pytest-xvfb), since a screen has one clipboard.
SCREEN = $(if $(shell command -v Xvfb),LIBGL_ALWAYS_SOFTWARE=1 QT_QPA_PLATFORM=xcb,QT_QPA_PLATFORM=offscreen)

# A process a core, each with one thread: `make test WORKERS=8`. Tests that measure time have the machine to themselves,
# but for the linters, which yield to all tests.
WORKERS ?= 2
# The processes that tests begin need not compile again what others have compiled.
unexport PYTHONDONTWRITEBYTECODE
PYTEST = OMP_NUM_THREADS=1 $(SCREEN) $(BIN)/python -m pytest
PARALLEL = --numprocesses=$(WORKERS) --dist=loadfile --no-loadscope-reorder

.PHONY: train-bundled setup system demo lint test tests test-slow coverage docs bench bench-quick

setup: system $(INSTALLED)

system:
	@case "$$(uname)" in Linux) ;; *) exit 0 ;; esac; \
	if ! command -v dpkg-query >/dev/null; then \
		command -v xvfb-run >/dev/null || echo "Xvfb is missing, so Qt runs offscreen; it also needs EGL, GL and the xcb libraries."; \
		exit 0; \
	fi; \
	missing=$$(for p in $(SYSTEM_PACKAGES); do \
		dpkg-query -W -f='$${Status}' $$p 2>/dev/null | grep -q '^install ok' || echo $$p; done | xargs); \
	[ -z "$$missing" ] && exit 0; \
	if [ "$$(id -u)" = 0 ]; then \
		apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends $$missing \
			|| echo "Could not install: $$missing"; \
	else \
		echo "For windows and their tests, install: sudo apt-get install $$missing"; \
	fi

$(INSTALLED): pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --upgrade "pip>=25.1"
	$(BIN)/python -m pip install --quiet -c constraints.txt -e ".[all]" --group dev
	@touch $@

$(DOCS_INSTALLED): $(INSTALLED)
	$(BIN)/python -m pip install --quiet -c constraints.txt --group docs
	@touch $@

demo: setup
	$(BIN)/python -m benchmarks.demo

lint: setup
	nice $(BIN)/ruff check
	nice $(BIN)/ruff format --check
	nice $(BIN)/mypy
	nice $(BIN)/lint-imports
	nice $(BIN)/npe2 validate napari-gandenoise  # that its names can be imported is a test

test: setup
	@$(MAKE) --no-print-directory --jobs=2 lint tests

tests: setup
	$(PYTEST) -m "not slow and serial" --quiet
	$(PYTEST) -m "not slow and not serial" $(PARALLEL)

test-slow: setup
	$(PYTEST) -m "slow and serial" --quiet
	$(PYTEST) -m "slow and not serial" $(PARALLEL)

coverage: setup
	$(PYTEST) -m "not slow and serial" --quiet --cov --cov-report=
	$(PYTEST) -m "not slow and not serial" $(PARALLEL) --cov --cov-append

docs: setup $(DOCS_INSTALLED)
	$(BIN)/sphinx-build -W --keep-going -b html docs docs/_build

bench-quick: setup
	$(WITH_SCREEN) $(BIN)/python -m benchmarks.run --quick

bench: setup
	$(WITH_SCREEN) $(BIN)/python -m benchmarks.run

# The bundled models in BUDGET seconds, unattended, model files in OUT; nothing is installed, since the machine with the
# GPU may have neither a network nor room: its Python needs torch, numpy, scipy, pydantic, PyYAML, safetensors and
# lazy_loader, and ASE for the models of atoms.
BUDGET ?= 700
OUT ?= runs/bundled-models
train-bundled:
	PYTHONPATH=src $(if $(wildcard $(BIN)/python),$(BIN)/python,$(PYTHON)) -m napari_gandenoise.training.bundled --budget $(BUDGET) --output $(OUT)
