# `make demo` and `make test` set up everything they need by themselves. ARGS reaches the command: make test ARGS="-k journal -x"
SHELL := /bin/bash
# Debian keeps mosquitto and mkfs out of an ordinary user's path.
export PATH := $(CURDIR)/.venv/bin:$(PATH):/usr/sbin:/sbin
# Tests start hundreds of processes: each would compile everything anew.
unexport PYTHONDONTWRITEBYTECODE
ARGS ?=
CODE := api broker deploy devices firmware_sim gateway tests $(wildcard bench)

.PHONY: demo bench bench-large test check format lock setup

demo: # a village of ten households, live: press a key and see who learns it
	@scripts/setup run
	@shouwang demo $(ARGS)

bench: # floors and product in one run, printed as ratios
	@scripts/setup run
	@shouwang bench $(ARGS)

bench-large: # look-ups over ten million check-ins on both databases: half an hour and 5 GB; not in CI
	@scripts/setup run
	@python -m bench.patrol $(ARGS)

test: setup # two files at a time, since most of a test is waiting
	@pytest -n 2 --dist loadfile $(ARGS)

check: setup # what a reviewer need not look at; every step runs, so that one run tells all
	@failed=0; \
	for step in "ruff format --check ." "ruff check ." "mypy $(CODE)" "lint-imports" "python -m tests.checks"; do \
	    echo "== $$step"; $$step || failed=1; \
	done; \
	exit $$failed

format: setup
	ruff format .
	ruff check --fix .

lock: # renew every pinned version; LOCK=--keep moves only what pyproject.toml forces to move
	scripts/lock $(LOCK)

setup:
	@scripts/setup dev
