# setup, demo, format, lint, test, test-slow, coverage, docs, bench, bench-quick: each installs what it needs first; nothing outside .venv is touched
# except, for root on Debian or Ubuntu, the system libraries of Qt. What they do stands in tasks.py, which works without make, on Windows
# too: python tasks.py test

PYTHON ?= python3
TASK := $(PYTHON) tasks.py
BIN := .venv/bin

# What a Qt window needs from the system, with Mesa to draw and Xvfb to show it on a machine without a screen.
SYSTEM_PACKAGES := libdbus-1-3 libegl1 libfontconfig1 libgl1 libgl1-mesa-dri libxcb-cursor0 libxcb-icccm4 \
	libxcb-image0 libxcb-keysyms1 libxcb-randr0 libxcb-render-util0 libxcb-shape0 libxcb-xinerama0 \
	libxkbcommon-x11-0 xauth xvfb

# `make test WORKERS=8`: tests in so many processes, each with one thread. Tests that measure time have the machine to themselves, but for
# the linters, which yield to all tests.
export WORKERS ?= 2

.PHONY: train-bundled setup system demo format lint test tests test-slow coverage docs bench bench-quick

setup: system
	@$(TASK) setup

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

demo: setup
	@$(TASK) demo

format: setup
	@$(TASK) format

lint: setup
	@nice $(TASK) lint

test: setup
	@$(MAKE) --no-print-directory --jobs=2 lint tests

tests: setup
	@$(TASK) tests

test-slow: setup
	@$(TASK) test-slow

coverage: setup
	@$(TASK) coverage

docs: setup
	@$(TASK) docs

bench-quick: setup
	@$(TASK) bench-quick

bench: setup
	@$(TASK) bench

# The bundled models in BUDGET seconds, unattended, model files in OUT; nothing is installed, since the machine with the
# GPU may have neither a network nor room: its Python needs torch, numpy, scipy, pydantic, PyYAML, safetensors and
# lazy_loader, and ASE for the models of atoms.
BUDGET ?= 700
OUT ?= runs/bundled-models
train-bundled:
	PYTHONPATH=src $(if $(wildcard $(BIN)/python),$(BIN)/python,$(PYTHON)) -m napari_gandenoise.training.bundled --budget $(BUDGET) --output $(OUT)
