/* Nanoseconds per call from C: the least and the median of rounds whose records fit the ring.
 *
 *     make bench-c
 */

#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "coati.h"

enum { CALLS = 4000, ROUNDS = 200, LONG_CALLS = 1000000 };

static coati_engine *engine;
static coati_logger *logger;
static coati_tracer *tracer;
static coati_counter *counter;
static coati_histogram *histogram;
static coati_gauge *gauge;
static double values[1024];

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec * 1e9 + (double)time.tv_nsec;
}

static void log_3_fields(int i) {
    coati_field fields[] = {
        {COATI_STR("steps"), COATI_FIELD_I64, {.i64 = i}},
        {COATI_STR("model"), COATI_FIELD_STR, {.str = COATI_STR("gpt-4o")}},
        {COATI_STR("cost"), COATI_FIELD_F64, {.f64 = 0.25}},
    };
    coati_log(logger, COATI_INFO, COATI_STR("plan ready"), fields, 3);
}

static void log_below_level(int i) {
    (void)i;
    coati_log(logger, COATI_DEBUG, COATI_STR("plan ready"), NULL, 0);
}

static void clock_only(int i) {
    (void)i;
    unsigned low, high;
    __asm__ volatile("rdtsc" : "=a"(low), "=d"(high));
}

static void span_4_attributes(int i) {
    coati_field fields[] = {
        {COATI_STR("steps"), COATI_FIELD_I64, {.i64 = i}},
        {COATI_STR("model"), COATI_FIELD_STR, {.str = COATI_STR("gpt-4o")}},
        {COATI_STR("cost"), COATI_FIELD_F64, {.f64 = 0.25}},
        {COATI_STR("cached"), COATI_FIELD_BOOL, {.boolean = false}},
    };
    coati_span *span;
    coati_span_start(tracer, COATI_STR("plan"), NULL, &span);
    for (int field = 0; field < 4; field++) coati_span_set_attribute(span, &fields[field]);
    coati_span_free(span);
}

static void counter_add(int i) {
    (void)i;
    coati_counter_add(counter, 1);
}

static void counter_add_float(int i) {
    (void)i;
    coati_counter_add(counter, 0.5);
}

static void histogram_record(int i) { coati_histogram_record(histogram, values[i & 1023]); }

static void gauge_set(int i) { coati_gauge_set(gauge, i); }

static int compare(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Inlined, so that `call` is no call of its own. */
static inline __attribute__((always_inline)) void report(const char *name, void (*call)(int),
                                                         int records) {
    static double costs[ROUNDS];
    int calls = records ? CALLS : LONG_CALLS / 10;
    for (int round = 0; round < ROUNDS; round++) {
        double start = now();
        for (int i = 0; i < calls; i++) call(i);
        costs[round] = (now() - start) / calls;
        if (records) coati_flush(engine, 10000);
    }
    qsort(costs, ROUNDS, sizeof *costs, compare);
    printf("%-28s %7.2f min %7.2f median\n", name, costs[0], costs[ROUNDS / 2]);
}

int main(void) {
    const char *config = "{\"logs\": {\"level\": \"info\"}, \"sinks\": "
                         "[{\"type\": \"file\", \"path\": \"/dev/null\"}]}";
    coati_str name = COATI_STR("bench"), none = {NULL, 0};
    if (coati_init(coati_string(config), &engine) != COATI_OK) return 1;
    coati_field label = coati_text("agent", "a1");
    coati_logger_new(engine, name, &logger);
    coati_tracer_new(engine, name, &tracer);
    coati_counter_new(engine, COATI_STR("counter"), none, none, &label, 1, &counter);
    coati_gauge_new(engine, COATI_STR("gauge"), none, none, &label, 1, &gauge);
    coati_histogram_new(engine, COATI_STR("histogram"), none, none, &label, 1, NULL, 0, &histogram);
    unsigned state = 1;
    for (int i = 0; i < 1024; i++) {
        state = state * 1664525u + 1013904223u;
        values[i] = 5.0 + (double)(state >> 8) / 20000.0;
    }
    report("clock", clock_only, 0);
    report("log, 3 fields", log_3_fields, 1);
    report("log below its level", log_below_level, 0);
    report("span, 4 attributes", span_4_attributes, 1);
    report("counter add, whole", counter_add, 0);
    report("counter add, fraction", counter_add_float, 0);
    report("histogram record", histogram_record, 0);
    report("gauge set", gauge_set, 0);
    coati_ledger logs, spans;
    coati_get_ledger(engine, COATI_LOGS, &logs);
    coati_get_ledger(engine, COATI_SPANS, &spans);
    printf("dropped: %llu\n", (unsigned long long)(logs.dropped + spans.dropped));
    coati_engine_free(engine);
    coati_logger_free(logger);
    coati_tracer_free(tracer);
    coati_counter_free(counter);
    coati_gauge_free(gauge);
    coati_histogram_free(histogram);
    return logs.dropped + spans.dropped ? 1 : 0;
}
