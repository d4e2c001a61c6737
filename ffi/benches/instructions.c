/* The hottest operations from C, each in a function of its own that callgrind counts the
 * instructions of; benches/instructions.py runs this.
 *
 *     instructions FILE CALLS
 */

#define _GNU_SOURCE
#include "bench.h"

#define OPERATION(name, call)                          \
    __attribute__((noinline)) void name(int calls);    \
    __attribute__((noinline)) void name(int calls) {   \
        for (int i = 0; i < calls; i++) call;          \
    }
OPERATION(coati_op_c_log_3_fields, log_3_fields(i))
OPERATION(coati_op_c_log_off, log_below_level(i))
OPERATION(coati_op_c_span_4_attributes, span_4_attributes(i))
OPERATION(coati_op_c_counter, counter_add(i))
OPERATION(coati_op_c_histogram, histogram_record(i))

static void (*const operations[])(int) = {
    coati_op_c_log_3_fields, coati_op_c_log_off,   coati_op_c_span_4_attributes,
    coati_op_c_counter,      coati_op_c_histogram,
};

int main(int argc, char **argv) {
    int calls = argc > 2 ? atoi(argv[2]) : 0;
    if (calls < 1) {
        fprintf(stderr, "usage: instructions FILE CALLS\n");
        return 2;
    }
    start(argv[1]);
    coati_buffer health;
    coati_health_json(engine, &health);
    if (!memmem(health.ptr, health.len, "\"tsc\"", 5)) {
        fprintf(stderr, "the clock is not the one that is counted\n");
        return 1;
    }
    coati_buffer_free(&health);
    for (size_t i = 0; i < sizeof operations / sizeof *operations; i++) {
        /* First uses make rings, names, series and cells; the second run counts. */
        operations[i](calls < 100 ? calls : 100);
        operations[i](calls);
        coati_flush(engine, 600000);
    }
    return stop() ? 1 : 0;
}
