/* What the C programs measure, defined once. */

#ifndef COATI_BENCH_H
#define COATI_BENCH_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <x86intrin.h>

#include "coati.h"

static coati_engine *engine;
static coati_logger *logger;
static coati_tracer *tracer;
static coati_counter *counter;
static coati_histogram *histogram;
static double values[1024];

static inline double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec * 1e9 + (double)time.tv_nsec;
}

static inline void log_3_fields(int i) {
    coati_field fields[] = {
        {COATI_STR("steps"), COATI_FIELD_I64, {.i64 = i}},
        {COATI_STR("model"), COATI_FIELD_STR, {.str = COATI_STR("gpt-4o")}},
        {COATI_STR("cost"), COATI_FIELD_F64, {.f64 = 0.25}},
    };
    coati_log(logger, COATI_INFO, COATI_STR("plan ready"), fields, 3);
}

static inline void log_below_level(int i) {
    (void)i;
    coati_log(logger, COATI_DEBUG, COATI_STR("plan ready"), NULL, 0);
}

static inline void span_4_attributes(int i) {
    coati_field fields[] = {
        {COATI_STR("agent"), COATI_FIELD_STR, {.str = COATI_STR("a1")}},
        {COATI_STR("steps"), COATI_FIELD_I64, {.i64 = i}},
        {COATI_STR("model"), COATI_FIELD_STR, {.str = COATI_STR("gpt-4o")}},
        {COATI_STR("cost"), COATI_FIELD_F64, {.f64 = 0.25}},
    };
    coati_span *span;
    coati_span_start(tracer, COATI_STR("plan"), NULL, &span);
    for (int field = 0; field < 4; field++) coati_span_set_attribute(span, &fields[field]);
    coati_span_free(span);
}

static inline void counter_add(int i) {
    (void)i;
    coati_counter_add(counter, 1);
}

static inline void histogram_record(int i) { coati_histogram_record(histogram, values[i & 1023]); }

static coati_ledger ledger(uint32_t signal) {
    coati_ledger books = {0, 0, 0, 0};
    coati_get_ledger(engine, signal, &books);
    return books;
}

/* Starts the engine with one JSON file as its sink, and makes a handle of each kind. */
static void start(const char *path) {
    char config[4096];
    snprintf(config, sizeof config,
             "{\"logs\": {\"level\": \"info\"}, \"sinks\": [{\"type\": \"file\", \"path\": \"%s\"}]}",
             path);
    coati_str name = COATI_STR("bench"), none = {NULL, 0};
    if (coati_init(coati_string(config), &engine) != COATI_OK) {
        fprintf(stderr, "coati_init failed\n");
        exit(1);
    }
    coati_field label = coati_text("agent", "a1");
    coati_logger_new(engine, name, &logger);
    coati_tracer_new(engine, name, &tracer);
    coati_counter_new(engine, COATI_STR("counter"), none, none, &label, 1, &counter);
    coati_histogram_new(engine, COATI_STR("histogram"), none, none, &label, 1, NULL, 0, &histogram);
    unsigned state = 1;
    for (int i = 0; i < 1024; i++) {
        state = state * 1664525u + 1013904223u;
        values[i] = 5.0 + (double)(state >> 8) / 20000.0;
    }
}

/* Frees everything; the number of records lost. */
static uint64_t stop(void) {
    coati_flush(engine, 60000);
    uint64_t dropped = ledger(COATI_LOGS).dropped + ledger(COATI_SPANS).dropped;
    coati_engine_free(engine);
    coati_logger_free(logger);
    coati_tracer_free(tracer);
    coati_counter_free(counter);
    coati_histogram_free(histogram);
    return dropped;
}

#endif
