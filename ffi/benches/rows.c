/* The C rows of the budget table: rounds in turn, one JSON object a line.
 *
 *     rows FILE [ROUNDS]
 *
 * FILE takes the log lines. */

#include "bench.h"

enum { MAX_ROUNDS = 1001, LOGS = 4000, DRAINED = 2000, BACKLOG = 8000, LONG = 65536 };

/* A ring of which nobody reads, for the floor. */
static char ring[1 << 20];

/* Not inlined: what every function of a shared library pays. */
static __attribute__((noinline)) void clock_and_copy(int i, const char *record) {
    char *to = ring + ((size_t)i * 96 & 0xfff00);
    memcpy(to, record, 96);
    uint64_t ticks = __rdtsc();
    memcpy(to, &ticks, sizeof ticks);
}

static uint64_t cell;

static __attribute__((noinline)) void single_writer(uint64_t amount) {
    __atomic_store_n(&cell, __atomic_load_n(&cell, __ATOMIC_RELAXED) + amount, __ATOMIC_RELAXED);
}

static uint64_t buckets[1 << 17];
static double sum;

/* A bucket from the float's upper bits, and a sum. */
static __attribute__((noinline)) void bucket_and_sum(double value) {
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    uint64_t *bucket = &buckets[bits >> 46 & 0x1ffff];
    __atomic_store_n(bucket, __atomic_load_n(bucket, __ATOMIC_RELAXED) + 1, __ATOMIC_RELAXED);
    *(volatile double *)&sum += value;
}

static void flush(void) {
    if (coati_flush(engine, 60000) != COATI_OK) {
        fprintf(stderr, "the drain is stuck\n");
        exit(1);
    }
}

/* More than half a ring, which wakes the drain; returns when it has begun to write. */
static void wake(void) {
    flush();
    uint64_t written = ledger(COATI_LOGS).delivered;
    for (int i = 0; i < BACKLOG; i++) log_3_fields(i);
    while (ledger(COATI_LOGS).delivered == written) __builtin_ia32_pause();
}

static int still_at_work(void) {
    coati_ledger books = ledger(COATI_LOGS);
    return books.recorded - books.delivered > DRAINED;
}

static char record[96];

#define LOOP(name, calls, call)               \
    static void name(void) {                  \
        for (int i = 0; i < calls; i++) call; \
    }
LOOP(logs, LOGS, log_3_fields(i))
LOOP(drained_logs, DRAINED, log_3_fields(i))
LOOP(adds, LONG, counter_add(i))
LOOP(records, LONG, histogram_record(i))
LOOP(spans, LOGS / 4, span_4_attributes(i))
LOOP(off, LONG, log_below_level(i))
LOOP(floor_logs, LOGS, clock_and_copy(i, record))
LOOP(floor_adds, LONG, single_writer(1))
LOOP(floor_records, LONG, bucket_and_sum(values[i & 1023]))

static struct row {
    const char *id, *kind, *name;
    int calls;
    void (*run)(void);
    void (*before)(void);
    int (*lasted)(void);
    double costs[MAX_ROUNDS];
} rows[] = {
    {"c_log", "ours", "coati", LOGS, logs, flush, NULL, {0}},
    {"c_log_drain", "ours", "coati", DRAINED, drained_logs, wake, still_at_work, {0}},
    {"c_counter", "ours", "coati", LONG, adds, NULL, NULL, {0}},
    {"c_histogram", "ours", "coati", LONG, records, NULL, NULL, {0}},
    {"c_span", "ours", "coati", LOGS / 4, spans, flush, NULL, {0}},
    {"c_log_off", "ours", "coati", LONG, off, NULL, NULL, {0}},
    {"c_log", "floor", "call, clock read, copy of 96 bytes", LOGS, floor_logs, NULL, NULL, {0}},
    {"c_counter", "floor", "call, add of a single writer", LONG, floor_adds, NULL, NULL, {0}},
    {"c_histogram", "floor", "call, bucket by bits, count and sum", LONG, floor_records, NULL, NULL,
     {0}},
};

enum { ROWS = sizeof rows / sizeof *rows };

static int compare(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double measure(struct row *row) {
    for (int tries = 0; tries < 100; tries++) {
        if (row->before) row->before();
        double begin = now();
        row->run();
        double cost = (now() - begin) / row->calls;
        if (!row->lasted || row->lasted()) return cost;
    }
    fprintf(stderr, "the drain never was at work for %s\n", row->id);
    exit(1);
}

int main(int argc, char **argv) {
    int rounds = argc > 2 ? atoi(argv[2]) : 101;
    if (argc < 2 || rounds < 1 || rounds > MAX_ROUNDS) {
        fprintf(stderr, "usage: rows FILE [ROUNDS up to %d]\n", MAX_ROUNDS);
        return 2;
    }
    start(argv[1]);
    for (int i = 0; i < ROWS; i++) measure(&rows[i]);
    for (int round = 0; round < rounds; round++)
        for (int i = 0; i < ROWS; i++) rows[i].costs[round] = measure(&rows[i]);
    uint64_t dropped = stop();
    for (int i = 0; i < ROWS; i++) {
        struct row *row = &rows[i];
        qsort(row->costs, (size_t)rounds, sizeof *row->costs, compare);
        printf("{\"row\": \"%s\", \"name\": \"%s\", \"kind\": \"%s\", \"unit\": \"ns\", "
               "\"min\": %.3f, \"median\": %.3f, \"rounds\": %d, \"drops\": %llu}\n",
               row->id, row->name, row->kind, row->costs[0], row->costs[rounds / 2], rounds,
               (unsigned long long)dropped);
    }
    return dropped ? 1 : 0;
}
