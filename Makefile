# Two commands matter: `make demo` builds, installs and runs the main job; `make test` checks
# everything. Both set up what they need on a fresh machine (Debian packages if root, else they say
# which are missing).

PYTHON ?= python3
VENV   ?= .venv
BIN    := $(abspath $(VENV))/bin
SHELL  := /bin/bash

.DEFAULT_GOAL := help

.PHONY: help
help: ## Show what there is to make
	@grep -hE '^[a-z0-9-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 18

# --- the Python package ---------------------------------------------------------------------

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --upgrade pip

.PHONY: install-python
install-python: $(BIN)/python ## Build the Python package in release mode and install it into .venv
	rm -rf $(VENV)/wheel
	$(BIN)/pip wheel --no-deps --wheel-dir $(VENV)/wheel ./python
	$(BIN)/pip install --force-reinstall --no-deps $(VENV)/wheel/*.whl

.PHONY: demo
demo: install-python ## Build, install and run the demo on Python's standard library
	$(BIN)/coati demo $(DEMO_ARGS)

# --- tests ----------------------------------------------------------------------------------

.PHONY: test
test: lint test-rust test-loom test-c test-python test-frameworks ## Check everything

.PHONY: lint
lint: ## Formatting and lints of Rust
	cargo fmt --all --check
	cargo clippy --workspace --all-targets -- -D warnings
	cargo clippy -p coati-benches --features peers --all-targets -- -D warnings

.PHONY: test-rust
test-rust: ## Unit, property and integration tests of the Rust crates
	cargo test --workspace --exclude coati-python --exclude coati-loom-tests
	cargo test --release -p coati-export --test engine

.PHONY: test-memory
test-memory: ## Resident memory over 10 M records, 1 M label sets, 256 and 10,000 threads
	cargo run --release -q -p coati-benches --bin memory

.PHONY: bench-idle
bench-idle: ## Processor time over an idle minute with 50 threads registered
	cargo run --release -q -p coati-benches --bin idle

.PHONY: test-outage
test-outage: ## The outage test of OTLP with a receiver that is gone for a minute
	COATI_OUTAGE_SECONDS=60 cargo test --release -p coati-export --test otlp outage -- --nocapture

LOOM := CARGO_TARGET_DIR=$(CURDIR)/target/loom RUSTFLAGS="--cfg coati_loom"

.PHONY: test-loom
test-loom: ## Loom models of ring, registry, ledger, shards, flush and shutdown (3 minutes)
	$(LOOM) cargo test -p coati-loom-tests --profile loom -- --nocapture

.PHONY: loom-mutants
loom-mutants: ## Take each key ordering and guard away in turn; its model or test must fail (2 minutes)
	CARGO_TARGET_DIR=$(CURDIR)/target/loom loom-tests/mutants.sh

.PHONY: test-c
test-c: ## C and C++: header, examples, linking, valgrind
	ffi/tests/run.sh

.PHONY: test-python
test-python: install-python ## Python tests, stubs and lints
	$(BIN)/pip install --quiet -r python/requirements-test.txt
	$(BIN)/ruff check python
	$(BIN)/ruff format --check python
	cd python/tests && $(BIN)/python -m pytest -q
	cd python/tests && $(BIN)/python -m mypy.stubtest coati --ignore-disjoint-bases \
		--mypy-config-file ../pyproject.toml --allowlist stubtest.txt --ignore-unused-allowlist

.PHONY: test-frameworks
test-frameworks: install-python ## Agent frameworks on coati, each in an environment of its own (NAMES= chooses)
	$(BIN)/pip install --quiet -r python/requirements-test.txt
	$(BIN)/python python/tests/frameworks/run.py $(VENV)/wheel/*.whl $(VENV)/frameworks $(NAMES)

# --- what needs a nightly compiler ----------------------------------------------------------

NIGHTLY := nightly-2026-05-20
HOST     = $(shell rustc -vV | sed -n 's/^host: //p')

.PHONY: nightly
nightly:
	rustup toolchain install $(NIGHTLY) --profile minimal --component miri --component rust-src \
		--no-self-update

# Isolation is off for the wall clock, which Miri's own world does not have. All else is as Miri
# has it: stacked borrows, weak memory, leaks. Tests run fewer rounds under it.
miri = MIRIFLAGS=-Zmiri-disable-isolation PROPTEST_CASES=1 CARGO_TARGET_DIR=$(CURDIR)/target/miri \
	cargo +$(NIGHTLY) miri test -p coati-core

.PHONY: miri
miri: nightly ## Miri on the core's tests: undefined behaviour, data races, leaks
	$(miri)

.PHONY: miri-quick
miri-quick: nightly ## The part of it that takes minutes: ring, records, names, handles
	$(miri) --lib --test instrument -- --skip cache

# No backtraces: with an instrumented library one takes a minute. Forks are part of the tests,
# which by default ThreadSanitizer ends. No doc tests: rustdoc builds them without the sanitizer.
sanitize = RUST_BACKTRACE=0 TSAN_OPTIONS=die_after_fork=0 PROPTEST_CASES=32 \
	CARGO_TARGET_DIR=$(CURDIR)/target/$(1) RUSTFLAGS=-Zsanitizer=$(1) \
	cargo +$(NIGHTLY) test --tests --target $(HOST)

# The standard library is built with the sanitizer, too, so that what it synchronises is seen.
.PHONY: tsan
tsan: tsan-core ## ThreadSanitizer on the Rust tests of core and export
	$(call sanitize,thread) -Zbuild-std -p coati-export

.PHONY: tsan-core
tsan-core: nightly ## ThreadSanitizer on the core alone
	$(call sanitize,thread) -Zbuild-std -p coati-core

.PHONY: asan
asan: nightly ## AddressSanitizer on the Rust tests of core and export
	$(call sanitize,address) -p coati-core -p coati-export

.PHONY: sanitizers
sanitizers: miri tsan asan ## Miri, ThreadSanitizer and AddressSanitizer

.PHONY: deny
deny: ## Licences and sources of dependencies (needs cargo-deny)
	cargo deny check licenses bans sources

.PHONY: aarch64
aarch64:
	{ command -v qemu-aarch64 && command -v aarch64-linux-gnu-gcc; } >/dev/null || \
		{ apt-get update -q && apt-get install -qy --no-install-recommends \
			qemu-user gcc-aarch64-linux-gnu libc6-dev-arm64-cross; }
	rustup target add aarch64-unknown-linux-gnu

.PHONY: test-aarch64
test-aarch64: aarch64 ## Run the core's tests for aarch64 Linux under emulation (needs rustup)
	PROPTEST_CASES=32 CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER=aarch64-linux-gnu-gcc \
		CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_RUNNER="qemu-aarch64 -L /usr/aarch64-linux-gnu" \
		cargo test -p coati-core --target aarch64-unknown-linux-gnu

PLATFORMS := aarch64-unknown-linux-gnu aarch64-apple-darwin x86_64-pc-windows-gnu

.PHONY: check-platforms
check-platforms: ## Compile the core for the platforms that are not tested (needs rustup)
	rustup target add $(PLATFORMS)
	for platform in $(PLATFORMS); do cargo check -p coati-core --target $$platform || exit 1; done

.PHONY: clean
clean: ## Remove what was built
	cargo clean
	rm -rf $(VENV) build coati-demo

-include ffi/install.mk
-include benches/bench.mk
