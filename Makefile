# The only commands a person must know. `make help` lists them.

PYTHON ?= python3
BIN := .venv/bin/
INSTALL := $(PYTHON) -m pip --disable-pip-version-check --python $(BIN)python install -qq --require-hashes -r
LOCK := $(BIN)uv pip compile pyproject.toml --universal --python-version 3.11 --generate-hashes --quiet \
	--no-emit-index-url --no-emit-find-links --custom-compile-command "make lock"
# Where it is set, each of the suite's hundreds of processes would compile all of Broadsheet anew.
export PYTHONDONTWRITEBYTECODE :=
# More workers than cores: much of the suite waits for real processes.
SUITE := $(BIN)python -m pytest -n 5 --dist loadfile --no-loadscope-reorder
LEASED := CACHE_MODE=leased CACHE_HOSTS=one $(BIN)python -m pytest -n 4 tests/caching/test_oracle.py tests/caching/test_overlap.py

FROM_APT := chromium-headless-shell nginx rabbitmq-server
.PHONY: help run test contract explore hammer drills coverage check fmt lock demo bench $(FROM_APT)
.DEFAULT_GOAL := help

help:  ## list these commands
	@sed -n 's/^\([a-z]*\):.*## /make \1\t/p' $(MAKEFILE_LIST) | expand -t 14

# The tether lets the kernel end Broadsheet when make itself is killed outright.
run: .venv/run.stamp  ## start everything on this machine; Ctrl-C ends it
	@exec $(BIN)python -IS processes/tether.py TERM $$PPID $(BIN)python run.py

demo: .venv/run.stamp  ## the tutorials' way and Broadsheet side by side, with Redis and without
	@exec $(BIN)python -IS processes/tether.py TERM $$PPID $(BIN)python -m benchmarks.demo

bench: .venv/bench.stamp  ## how fast it is, beside others: a table, a JSON file and a chart
	@export PYTHONPATH=$(BENCH)others; exec $(BIN)python -IS processes/tether.py TERM $$PPID $(BENCH)bin/python -m benchmarks.bench

test: $(FROM_APT) .venv/contract.stamp .venv/npm.stamp check  ## check, then the whole suite on SQLite and on PostgreSQL, direct and leased
	@status=0; \
	TEST_DATABASE=sqlite $(SUITE) || status=1; \
	TEST_DATABASE=postgresql $(SUITE) || status=1; \
	TEST_DATABASE=postgresql $(LEASED) || status=1; \
	exit $$status

contract: .venv/contract.stamp .venv/npm.stamp  ## what others' programs find in 60 s on each database: schemathesis, bravado, TypeScript
	@status=0; export CONTRACT_SECONDS=60; \
	TEST_DATABASE=sqlite $(BIN)python -m pytest -s tests/contract/test_*.py || status=1; \
	TEST_DATABASE=postgresql $(BIN)python -m pytest -s tests/contract || status=1; \
	exit $$status

explore: .venv/test.stamp  ## every interleaving of the cache's protocol in its large configurations, some minutes
	@exec $(BIN)python -m tests.caching.explorer

MINUTES ?= 30
hammer: .venv/test.stamp  ## readers, writers and faults against the cache for MINUTES=30: nothing may be stale
	@exec $(BIN)python -m tests.caching.hammer --minutes $(MINUTES)

drills: .venv/test.stamp  ## break what delivers, at full length, on each database: a JSON line for each fault
	@status=0; export DRILLS=full; \
	TEST_DATABASE=sqlite $(BIN)python -m pytest -s tests/drills || status=1; \
	TEST_DATABASE=postgresql $(BIN)python -m pytest -s tests/drills || status=1; \
	exit $$status

coverage: $(FROM_APT) .venv/contract.stamp .venv/npm.stamp  ## branch coverage of all runs together
	TEST_DATABASE=sqlite $(SUITE) --cov --cov-branch --cov-report=
	TEST_DATABASE=postgresql $(SUITE) --cov --cov-branch --cov-append --cov-report=
	TEST_DATABASE=postgresql $(LEASED) --cov --cov-branch --cov-append --cov-report=term:skip-covered

check: .venv/test.stamp  ## format, lint, types, import contracts, line budget
	$(BIN)ruff format --check .
	$(BIN)ruff check .
	$(BIN)mypy
	$(BIN)lint-imports
	$(BIN)python -m tests.laws.budget

fmt: .venv/test.stamp  ## format the code and mend what ruff can mend
	$(BIN)ruff format .
	$(BIN)ruff check --fix .

lock: .venv/test.stamp  ## resolve pyproject.toml into requirements/*.txt again
	$(LOCK) --extra embedded --output-file requirements/run.txt
	$(LOCK) --constraint requirements/run.txt --output-file requirements/deploy.txt
	$(LOCK) --extra embedded --extra test --extra dev --constraint requirements/run.txt --output-file requirements/test.txt
	$(subst pyproject.toml,requirements/contract.in,$(LOCK)) --constraint requirements/test.txt --output-file requirements/contract.txt
	$(LOCK) --extra bench --constraint requirements/test.txt --output-file requirements/bench.txt

# What the tests need and no wheel brings. Debian keeps servers where not everybody looks.
SBIN := /usr/sbin
Chromium := chromium-headless-shell
nginx := nginx-light
RabbitMQ := rabbitmq-server
chromium-headless-shell: NEEDED := Chromium
nginx: NEEDED := nginx
rabbitmq-server: NEEDED := RabbitMQ
$(FROM_APT):
	@PATH="$$PATH:$(SBIN)" command -v $@ >/dev/null || { \
	[ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null || { \
	echo "The tests need $(NEEDED): apt-get install $($(NEEDED)), as root" >&2; exit 1; }; \
	echo "installing $@ …"; export DEBIAN_FRONTEND=noninteractive; \
	apt-get update -qq && apt-get install -qq -y --no-install-recommends $($(NEEDED)) >/dev/null; }

# Beside .venv's own packages: these bring jsonschema[format], which loads a grammar for 2 s wherever RESTX is imported.
OTHERS := .venv/others
.venv/contract.stamp: requirements/contract.txt .venv/test.stamp
	@echo "installing $< …"
	@rm -rf $(OTHERS) && $(INSTALL) $< --target $(OTHERS)
	@touch $@

# What compiles a TypeScript client; a wheel of the tests carries node.
NPM := .venv/npm/
.venv/npm.stamp: tests/contract/package-lock.json tests/contract/.npmrc .venv/test.stamp
	@echo "installing $< …"
	@mkdir -p $(NPM) && cp tests/contract/package.json tests/contract/package-lock.json tests/contract/.npmrc $(NPM)
	@cd $(NPM) && PATH="$(abspath $(BIN)):$$PATH" npm ci --silent
	@touch $@

# What is measured has the libraries of `make run` alone. The tests' slow its start (jsonschema loads a grammar), and
# FastAPI brings uvloop and OpenTelemetry, which granian and redis-py load wherever they find them.
BENCH := .venv/bench/
.venv/bench.stamp: requirements/run.txt requirements/bench.txt | .venv/bin/python
	@echo "installing $^ …"
	@$(BIN)python -m venv --clear --without-pip $(BENCH)
	@$(subst $(BIN),$(BENCH)bin/,$(INSTALL)) requirements/run.txt
	@$(subst $(BIN),$(BENCH)bin/,$(INSTALL)) requirements/bench.txt --target $(BENCH)others
	@touch $@

.venv/%.stamp: requirements/%.txt | .venv/bin/python
	@echo "installing $< …"
	@$(INSTALL) $<
	@$(BIN)python -m compileall -q -j 0 .venv/lib >/dev/null || true  # where PYTHONDONTWRITEBYTECODE is set, nobody else does
	@touch $@

.venv/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info[:2] not in ((3, 11), (3, 12)))' || { \
	echo "Broadsheet needs Python 3.11 or 3.12, and $(PYTHON) is $$($(PYTHON) -V 2>&1); try: make PYTHON=python3.12 …" >&2; exit 1; }
	@$(PYTHON) -m venv .venv || $(PYTHON) -m venv --without-pip .venv  # Debian packs ensurepip apart, and we need none
