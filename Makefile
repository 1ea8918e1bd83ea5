# `make test` is everything that must hold, from a fresh Debian machine on.
.DEFAULT_GOAL := help
.PHONY: help run test tools check rust web e2e cameras bench faults fuzz simulate soak test-engines test-cluster deployment crowd

FUZZ_SECONDS ?= 600
SIMULATION_STEPS ?= 10000000
MINUTES ?= 60
PEERS ?= 100000
AGENTS ?= 10
FAULTS ?= 5
PROFILE ?= bench

help: ## show what there is
	@grep -E '^[a-z0-9-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/'

run: ## broker, agent and page
	cargo run --release

test: tools check rust deployment web e2e ## install what tests need, and run everything
	$(MAKE) soak MINUTES=2 PROFILE=checked
	@echo "make test: everything passed"

tools: ## Chromium, Mosquitto and what else tests need
	.ci/install

check: ## format, lints, documentation
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --locked -- --deny warnings
	cargo check --locked --quiet # as `cargo run` builds it, without what tests add to libraries
	RUSTDOCFLAGS="--deny warnings" cargo doc --workspace --no-deps --locked --quiet

rust: ## Rust: unit, property, scenario and front-door tests
	INSTA_UPDATE=no cargo test --workspace --locked

deployment: ## systemd units and compose files, against systemd and the programs as `make rust` has built them
	cargo test --workspace --locked --no-run --quiet
	python3 docs/deploy/check.py "$$(cargo metadata --format-version 1 --no-deps | sed 's/.*"target_directory":"\([^"]*\)".*/\1/')/debug"

web: ## the page's own tests
	cd web && npm ci --no-audit --no-fund && npm run typecheck && npm test

e2e: ## two browsers in a call, and a camera
	cargo bench --locked --profile checked -p broker --bench soak --no-run # builds the broker, too, and the short soak has it then
	cargo test --workspace --locked --no-run --quiet # the camera as `make rust` has built it: alone it would have other features
	cd web && built="$$(cargo metadata --format-version 1 --no-deps | sed 's/.*"target_directory":"\([^"]*\)".*/\1/')" && \
	  DUET_BROKER="$$built/checked/broker" DUET_CAMERA="$$built/debug/camera" npm run e2e

cameras: ## the camera's tests on release builds, at length: each rate over 10 s, fifty viewers one after another
	cargo build --release --locked -p broker -p camera
	cd web && built="$$(cargo metadata --format-version 1 --no-deps | sed 's/.*"target_directory":"\([^"]*\)".*/\1/')/release" && \
	  DUET_BROKER="$$built/broker" DUET_CAMERA="$$built/camera" DUET_VIEWERS=50 DUET_MEASURED_MS=10000 \
	  node --test --test-reporter=spec e2e/camera.test.mjs

test-engines: ## rooms over RabbitMQ itself, which asks the agent who may do what (Debian's rabbitmq-server)
	.ci/install rabbitmq-server
	cargo test -p agent --test rabbitmq --locked -- --ignored

test-cluster: ## rooms over three nodes of RMQTT, which ask three agents; builds RMQTT first, ten minutes
	.ci/install protobuf-compiler
	cd agent/cluster && cargo build --release --locked && cargo test --release --locked --quiet
	cargo build --release --locked
	built="$$(cargo metadata --format-version 1 --no-deps --locked | sed 's/.*"target_directory":"\([^"]*\)".*/\1/')" && \
	  node="$$(cd agent/cluster && cargo metadata --format-version 1 --no-deps --locked | sed 's/.*"target_directory":"\([^"]*\)".*/\1/')" && \
	  DUET_BROKER="$$built/release/broker" DUET_CLUSTER_NODE="$$node/release/cluster-node" \
	  cargo test -p agent --test cluster --locked -- --ignored --nocapture --test-threads=1

bench: ## figures, see BENCHMARKS.md; BENCH="--quick" or other flags of the load
	cargo bench -p broker --bench load -- $(BENCH)
	cargo bench -p broker --bench micro
	cargo bench -p monitor

faults: ## what fails and how long it takes to recover, FAULTS (5) times each, into RELIABILITY.md; needs a quiet machine
	cargo build --release --locked -p broker -p camera
	built="$$(cargo metadata --format-version 1 --no-deps | sed 's/.*"target_directory":"\([^"]*\)".*/\1/')/release" && \
	  export DUET_BROKER="$$built/broker" DUET_CAMERA="$$built/camera" && \
	  node broker/tests/faults/table.mjs $(FAULTS) \
	    "cargo test --release --locked --quiet -p broker --test faults -- --nocapture --test-threads=1" \
	    "cargo test --release --locked --quiet -p broker --test limits -- --nocapture without_file_descriptors" \
	    "cargo test --release --locked --quiet -p agent --test faults -- --nocapture --test-threads=1" \
	    "cargo test --release --locked --quiet -p camera --test faults -- --nocapture --test-threads=1" \
	    "cd web && node --test --test-reporter=spec e2e/asleep.test.mjs" \
	    "cd web && node --test --test-reporter=spec --test-name-pattern='within five seconds' e2e/camera.test.mjs"

fuzz: ## look for new inputs, FUZZ_SECONDS (600) for each target; needs nightly Rust and cargo-fuzz
	for target in $$(cargo fuzz list); do \
	  mkdir -p target/fuzz/corpus/$$target && \
	  CARGO_PROFILE_RELEASE_LTO=off cargo +nightly fuzz run --sanitizer none --features libfuzzer $$target \
	    target/fuzz/corpus/$$target $$(ls -d fuzz/corpus/$$target fuzz/regressions/$$target 2>/dev/null) \
	    -- -max_total_time=$(FUZZ_SECONDS) -max_len=4096 -timeout=25 || exit 1; \
	done

simulate: ## the agent under a simulated network and clock, SIMULATION_STEPS (10000000) steps
	DUET_SIMULATION_STEPS=$(SIMULATION_STEPS) cargo test --locked --profile checked -p agent --test simulation -- --nocapture nothing

crowd: ## PEERS (100000) peers at AGENTS (10) agents that share a store, simulated; see docs/scale.md
	DUET_CROWD_PEERS=$(PEERS) DUET_CROWD_AGENTS=$(AGENTS) DUET_CROWD_LEASE=1800 DUET_CROWD_CALLS=4 DUET_CROWD_TROUBLES=4 \
	  cargo test --locked --profile checked -p agent --test simulation -- --nocapture crowd

soak: ## a crowd at the broker for an hour, or MINUTES, that must leave nothing behind; SOAK="--peers 500" or other flags
	cargo bench --locked --profile $(PROFILE) -p broker --bench soak -- --minutes $(MINUTES) $(SOAK)
