# --- benchmarks -------------------------------------------------------------------------------
# Each program prints JSON lines; benches/report.py puts them beside the budgets.

BENCH_OUT    ?= $(COATI_TARGET)/bench
BENCH_ROUNDS ?= 101
BENCH_PYTHON ?= python/benches/rows.py
BENCH_BIN    := $(COATI_TARGET)/release

.PHONY: bench
bench: bench-rust bench-c bench-python bench-report ## Every row of the budget table beside its peers; writes benches/RESULTS.md

.PHONY: bench-report
bench-report: ## Put the last figures beside the budgets again
	$(PYTHON) benches/report.py --out benches/RESULTS.md $(BENCH_OUT)/*.jsonl

.PHONY: bench-rust
bench-rust: ## The Rust rows
	cargo build --release -p coati-benches
	mkdir -p $(BENCH_OUT)
	$(BENCH_BIN)/rows $(BENCH_ROUNDS) > $(BENCH_OUT)/rust.jsonl
	$(BENCH_BIN)/throughput > $(BENCH_OUT)/throughput.jsonl

BENCH_CC := gcc -std=c11 -O2 -Wall -Wextra -Werror -Iinclude

.PHONY: bench-c
bench-c: libraries ## The C rows
	mkdir -p $(BENCH_OUT)
	ln -sf libcoati.so "$(BUILT)/$(COATI_SO)"
	$(BENCH_CC) ffi/benches/rows.c -o $(BENCH_OUT)/c-rows "$(BUILT)/libcoati.so" \
		-Wl,-rpath,"$(abspath $(BUILT))"
	file=$$(mktemp) && $(BENCH_OUT)/c-rows $$file $(BENCH_ROUNDS) > $(BENCH_OUT)/c.jsonl; \
		status=$$?; rm -f $$file; exit $$status

.PHONY: bench-python
bench-python: install-python ## The Python rows
	mkdir -p $(BENCH_OUT)
	$(BIN)/python $(BENCH_PYTHON) > $(BENCH_OUT)/python.jsonl
