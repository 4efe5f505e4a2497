# `make demo` and `make test` set up everything they need by themselves. ARGS reaches the command: make test ARGS="-k journal -x"
SHELL := /bin/bash
# Debian keeps mosquitto and mkfs out of an ordinary user's path.
export PATH := $(CURDIR)/.venv/bin:$(PATH):/usr/sbin:/sbin
# Tests start hundreds of processes: each would compile everything anew.
unexport PYTHONDONTWRITEBYTECODE
ARGS ?=
CODE := api broker deploy devices firmware_sim gateway tests $(wildcard bench faults scripts)

.PHONY: demo bench bench-large deb deb-test faults fuzz power test check sbom screenshots format lock setup

demo: # a village of ten households, live: press a key and see who learns it
	@scripts/setup run
	@shouwang demo $(ARGS)

bench: # floors and product in one run, printed as ratios
	@scripts/setup run
	@shouwang bench $(ARGS)

bench-large: # look-ups over ten million check-ins on both databases: a quarter of an hour and 8 GB; not in CI
	@scripts/setup run
	@python -m bench.patrol $(ARGS)

faults: # ten minutes of every fault that this machine can make, and what they cost; ARGS=--smoke takes one minute
	@scripts/setup run
	@shouwang faults $(ARGS)

fuzz: # ten minutes of octets that nobody would send, for each codec, message and file; ARGS="words --seconds 60"
	@scripts/setup fuzz
	@python -m tests.fuzz $(ARGS)

deb: # packages for Debian 12 and 13 and Raspberry Pi OS, amd64 and arm64, in build/deb; ARGS="--only bookworm-arm64" makes one
	@scripts/setup deb
	@python -m scripts.deb $(ARGS)

deb-test: # installs them in a clean Debian, boots it with systemd, and uses it; minutes, and only for root
	@scripts/setup deb
	@python -m scripts.deb_trial $(ARGS)

power: setup # four tiers of power cuts, 200 of them on a real file system: half an hour, root, and not in CI
	@shouwang faults --tier T1 --tier T2 --tier T3 --tier T4 $(ARGS)

test: setup # four files at a time on the two cores of CI, since half of a test is waiting
	@pytest -n 4 --dist loadfile --no-loadscope-reorder $(ARGS)

check: setup # what a reviewer need not look at; every step runs, all at a time, so that one run tells all
	@said=$$(mktemp -d); trap 'rm -rf "$$said"' EXIT; failed=0; \
	steps=("mypy $(CODE)" "python -m tests.checks" "lint-imports" "ruff check ." "ruff format --check ." "scripts/audit"); \
	for step in "$${!steps[@]}"; do $${steps[step]} >"$$said/$$step" 2>&1 & started[step]=$$!; done; \
	for step in "$${!steps[@]}"; do \
	    wait "$${started[step]}" || failed=1; \
	    echo "== $${steps[step]}"; cat "$$said/$$step"; \
	done; \
	exit $$failed

sbom: setup # dist/shouwang.cdx.json: every Python package that a station or gateway runs, in CycloneDX
	@mkdir -p dist
	@cyclonedx-py requirements requirements/run.txt --pyproject pyproject.toml --output-reproducible --output-file dist/shouwang.cdx.json

screenshots: setup # docs/screens: a picture of each screen, from a station with a few alarms; see CONTRIBUTING
	SCREENS=$(or $(SCREENS),docs/screens) pytest -q -n 0 tests/screens/test_pictures.py $(ARGS)

format: setup
	ruff format .
	ruff check --fix .

lock: # renew every pinned version; LOCK=--keep moves only what pyproject.toml forces to move
	scripts/lock $(LOCK)

setup:
	@scripts/setup dev
