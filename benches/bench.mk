# --- benchmarks -------------------------------------------------------------------------------
# Each program prints JSON lines; benches/report.py puts them beside the budgets.

BENCH_OUT    ?= $(COATI_TARGET)/bench
BENCH_ROUNDS ?= 101
BENCH_PYTHON_ROUNDS ?= 30
BENCH_BIN    := $(COATI_TARGET)/release

.PHONY: bench
bench: bench-rust bench-c bench-cpp bench-python bench-report ## Every row of the budget table beside its peers; writes benches/RESULTS.md

.PHONY: bench-report
bench-report: ## Put the last figures beside the budgets again
	$(PYTHON) benches/report.py --out benches/RESULTS.md $(BENCH_OUT)/*.jsonl

.PHONY: bench-rust
bench-rust: ## The Rust rows, with peers, and latencies
	cargo build --release -p coati-benches --features peers --bin rows --bin throughput
	cargo build --release -p coati-benches --bin latency
	mkdir -p $(BENCH_OUT)
	$(BENCH_BIN)/rows $(BENCH_ROUNDS) > $(BENCH_OUT)/rust.jsonl
	$(BENCH_BIN)/throughput > $(BENCH_OUT)/throughput.jsonl
	$(BENCH_BIN)/latency > $(BENCH_OUT)/latency.jsonl

.PHONY: bench-criterion
bench-criterion: ## The Rust rows under criterion; ARGS=rust_log for one
	cargo bench -p coati-benches --features peers --bench rows -- $(ARGS)

BENCH_CC := gcc -std=gnu11 -O2 -Wall -Wextra -Werror -Iinclude
# A file of the disk to write to, removed afterwards: $(call with-file,command,output)
with-file = file=$$(mktemp) && $(1) $$file $(2); status=$$?; rm -f $$file; exit $$status

.PHONY: bench-c
bench-c: libraries ## The C rows and latencies
	mkdir -p $(BENCH_OUT)
	ln -sf libcoati.so "$(BUILT)/$(COATI_SO)"
	for program in rows latency; do \
		$(BENCH_CC) ffi/benches/$$program.c -o $(BENCH_OUT)/c-$$program "$(BUILT)/libcoati.so" \
			-lpthread -Wl,-rpath,"$(abspath $(BUILT))" || exit 1; \
	done
	$(call with-file,$(BENCH_OUT)/c-rows,$(BENCH_ROUNDS) > $(BENCH_OUT)/c.jsonl)
	$(call with-file,$(BENCH_OUT)/c-latency,> $(BENCH_OUT)/c-latency.jsonl)

.PHONY: bench-cpp
bench-cpp: ## spdlog beside them (Debian's libspdlog-dev)
	mkdir -p $(BENCH_OUT)
	pkg-config --exists spdlog || { [ "$$(id -u)" = 0 ] && apt-get update -q && \
		apt-get install -qy --no-install-recommends libspdlog-dev; } || \
		{ echo "install libspdlog-dev" >&2; exit 1; }
	g++ -std=c++17 -O2 -Wall -Wextra -Werror benches/cpp/spdlog.cpp -o $(BENCH_OUT)/spdlog \
		$$(pkg-config --cflags --libs spdlog)
	$(call with-file,$(BENCH_OUT)/spdlog,$(BENCH_ROUNDS) > $(BENCH_OUT)/cpp.jsonl)

# Peers stay out of the environment in which the package is tested.
BENCH_VENV := $(BENCH_OUT)/venv

.PHONY: bench-python
bench-python: ## The Python rows
	$(PYTHON) -m venv $(BENCH_VENV)
	$(BENCH_VENV)/bin/pip install --quiet --upgrade pip
	$(BENCH_VENV)/bin/pip install --quiet ./python
	while read -r peer; do \
		$(BENCH_VENV)/bin/pip install --quiet --upgrade "$$peer" || echo "$$peer does not install"; \
	done < python/requirements-bench.txt
	$(BENCH_VENV)/bin/python python/benches/compare.py --rounds $(BENCH_PYTHON_ROUNDS) \
		--out $(BENCH_OUT)/python.jsonl

.PHONY: bench-agents
bench-agents: install-python ## What telemetry adds to an agent loop, beside the libraries it stands in for
	$(BIN)/pip install --quiet -r python/requirements-test.txt
	$(BIN)/python python/benches/agent_loop.py $(ARGS)
	$(BIN)/python python/benches/frameworks/components.py

.PHONY: instruction-programs
instruction-programs: libraries
	cargo build --release -p coati-benches --bin instructions
	mkdir -p $(BENCH_OUT)
	ln -sf libcoati.so "$(BUILT)/$(COATI_SO)"
	$(BENCH_CC) ffi/benches/instructions.c -o $(BENCH_OUT)/c-instructions "$(BUILT)/libcoati.so" \
		-Wl,-rpath,"$(abspath $(BUILT))"

COUNT_INSTRUCTIONS = $(PYTHON) benches/instructions.py $(BENCH_BIN)/instructions \
	$(BENCH_OUT)/c-instructions

.PHONY: instructions
instructions: instruction-programs ## Instructions of the hottest operations; 5 % more than kept fails
	$(COUNT_INSTRUCTIONS)

.PHONY: instructions-update
instructions-update: instruction-programs ## Keep the instructions of now
	$(COUNT_INSTRUCTIONS) --update

.PHONY: bench-tail
bench-tail: ## Tail sampling at 50,000 spans a second for a minute, and as fast as it goes
	cargo run --release -q -p coati-benches --bin tail 60
	cargo run --release -q -p coati-benches --bin tail 10 0

.PHONY: bench-formats
bench-formats: ## A scrape in each of Prometheus' formats
	cargo run --release -q -p coati-benches --bin formats

.PHONY: bench-otlp
bench-otlp: ## OTLP encoded and sent, beside the official Rust and Python kits
	$(PYTHON) -m venv $(BENCH_VENV)
	$(BENCH_VENV)/bin/pip install --quiet opentelemetry-exporter-otlp-proto-http
	cargo build --release -p coati-bench-otlp --features peers
	mkdir -p $(BENCH_OUT)
	$(BENCH_BIN)/coati-bench-otlp 51 "$(BENCH_VENV)/bin/python python/benches/otlp.py" | \
		tee $(BENCH_OUT)/otlp.jsonl

.PHONY: layout
layout: install-python ## Order of the extension module's functions, for the linker (needs valgrind)
	$(BIN)/python python/benches/layout.py
