# One command for each thing people do here; `make help` lists them.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

# Statements are checked against the committed answers in .sqlx, so building needs no database.
export SQLX_OFFLINE := true
# Rust's installer puts cargo here, and the shell that runs make may not know it yet.
export PATH := $(PATH):$(HOME)/.cargo/bin

CARGO  ?= cargo
TARGET := $(or $(CARGO_TARGET_DIR),target)

# make load
RATE    ?= 500
SECONDS_OF_LOAD := $(if $(filter command line environment,$(origin SECONDS)),$(SECONDS),30)
AGENTS  ?= 200
# make sim, make crash
SEEDS   ?= 5000
ROUNDS  ?= 20
# make run
ARGS    ?=

# make api-fuzz
CASES   ?= 30

.PHONY: help setup run build test load load-logins sim crash api-fuzz sqlx clean

help: ## List these commands
	@echo "Usage: make <command> [VARIABLE=value]"; echo
	@sed -n 's/^\([a-z-]*\):[^#]*## \(.*\)/  \1|\2/p' $(MAKEFILE_LIST) | while IFS='|' read -r name text; do printf '%-15s%s\n' "$$name" "$$text"; done

setup: ## Install what this machine lacks (silent when nothing is)
	@dev/setup

run: setup ## Build, then serve a ready-made company to try everything out (ARGS="--port 4100")
	@$(CARGO) build --release --locked --bin vez
	@exec $(TARGET)/release/vez demo $(ARGS)

build: setup ## Build the optimised server and load tester
	$(CARGO) build --release --locked --workspace

# Tests run against servers of their own; a developer's DATABASE_URL is none of their business.
test: setup ## Check the format, lint, run all tests
	$(CARGO) fmt --all --check
	$(CARGO) clippy --locked --workspace --all-targets -- -D warnings
	env -u DATABASE_URL $(CARGO) test --locked --workspace

load: build ## Load a fresh server (RATE=500 customers a second, SECONDS=30, AGENTS=200)
	@dev/load --rate $(RATE) --seconds $(SECONDS_OF_LOAD) --agents $(AGENTS)

load-logins: build ## The same load without and during 200 wrong logins at once (RATE, SECONDS, AGENTS as above)
	@dev/load logins --rate $(RATE) --seconds $(SECONDS_OF_LOAD) --agents $(AGENTS)

sim: setup ## Run the seeded simulation of the core (SEEDS=5000; SIM_SEED=n repeats one)
	env -u DATABASE_URL SIM_SEEDS=$(SEEDS) $(CARGO) test --locked --test simulation -- --nocapture

crash: setup ## Kill the server under load and check that nothing acknowledged is lost (ROUNDS=20)
	env -u DATABASE_URL CRASH_ROUNDS=$(ROUNDS) $(CARGO) test --locked --test crash -- --nocapture

api-fuzz: build ## Ask the API what its description allows and more, with schemathesis (CASES=30 for each operation and role)
	@dev/api-fuzz $(CASES)

sqlx: setup ## Write .sqlx anew after changing a statement or a migration
	@dev/sqlx-prepare

clean: ## Remove what was built; ./data stays
	$(CARGO) clean
	rm -rf tests/phoenix/node_modules
