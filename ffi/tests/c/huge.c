/* Texts of four gigabytes, which nobody may copy, and more fields than a line has. The texts are
 * pages of zeros that take no memory. */

#define _GNU_SOURCE
#include <sys/mman.h>
#include <unistd.h>

#include "check.h"

enum { LIMIT = 16384, MANY = 10000 };

static long resident(void) {
    long pages = 0, all = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    CHECK(file && fscanf(file, "%ld %ld", &all, &pages) == 2);
    fclose(file);
    return pages * sysconf(_SC_PAGESIZE);
}

int main(int argc, char **argv) {
    (void)argc;
    const char *path = in_directory(argv, "huge.jsonl");
    coati_engine *engine = start(path, "");
    coati_logger *logger = NULL;
    coati_tracer *tracer = NULL;
    coati_counter *counter = NULL, *same = NULL, *odd_name = NULL;
    coati_span *span = NULL;
    coati_str none = {NULL, 0};

    size_t length = ((size_t)1 << 32) + 5;
    void *zeros = mmap(NULL, length, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (zeros == MAP_FAILED) {
        perror("huge: skipped, no address range of four gigabytes");
        return 0;
    }
    coati_str huge = {zeros, length};
    coati_field field = {COATI_STR("value"), COATI_FIELD_STR, {.str = huge}};
    coati_field named = {huge, COATI_FIELD_I64, {.i64 = 7}};
    coati_field label = {huge, COATI_FIELD_STR, {.str = huge}};

    IS(COATI_OK, coati_logger_new(engine, COATI_STR("huge"), &logger));
    IS(COATI_OK, coati_tracer_new(engine, COATI_STR("huge"), &tracer));
    long before = resident();
    IS(COATI_OK, coati_log(logger, COATI_INFO, huge, &field, 1));
    IS(COATI_OK, coati_log(logger, COATI_INFO, COATI_STR("named"), &named, 1));
    IS(COATI_OK, coati_span_start(tracer, huge, NULL, &span));
    IS(COATI_OK, coati_span_set_attribute(span, &field));
    IS(COATI_OK, coati_span_set_attribute(span, &label));
    IS(COATI_OK, coati_span_add_event(span, huge, &field, 1));
    IS(COATI_OK, coati_span_set_status(span, COATI_SPAN_ERROR, huge));
    IS(COATI_OK, coati_span_end(span));
    coati_span_free(span);
    IS(COATI_OK, coati_counter_new(engine, COATI_STR("c"), huge, huge, &label, 1, &counter));
    IS(COATI_OK, coati_counter_new(engine, COATI_STR("c"), none, none, &label, 1, &same));
    IS(COATI_OK, coati_counter_add(counter, 1));
    IS(COATI_OK, coati_counter_add(same, 1));
    IS(COATI_BAD_ARGUMENT, coati_counter_new(engine, huge, none, none, NULL, 0, &odd_name));
    coati_span_context context;
    coati_context_extract(huge, huge, &context);
    coati_logger *odd = NULL;
    IS(COATI_OK, coati_logger_new(engine, huge, &odd));
    IS(COATI_OK, coati_log(odd, COATI_INFO, COATI_STR("odd"), NULL, 0));
    coati_logger_free(odd);

    static coati_field fields[MANY];
    static char names[MANY][16];
    for (int i = 0; i < MANY; i++) {
        snprintf(names[i], sizeof names[i], "field%d", i);
        fields[i] = coati_i64(names[i], i);
    }
    IS(COATI_OK, coati_log(logger, COATI_INFO, COATI_STR("many"), fields, MANY));
    IS(COATI_OK, coati_flush(engine, 120000));
    /* The engine's own rings, buffers and tables; a single copy would be a thousand times that. */
    CHECK(resident() - before < 32 << 20);

    char *lines = read_file(path), expected[64];
    snprintf(expected, sizeof expected, "…[+%zu bytes]\"", length - LIMIT);
    /* Message and field, attribute, attribute of the event; names and keys are cut unmarked. */
    CHECK(count_of(lines, expected) >= 4);
    CHECK(count_of(lines, "\n") == 5);
    snprintf(expected, sizeof expected, "\"dropped_fields\":%d}", MANY - 128);
    CHECK(count_of(lines, expected) == 1);
    CHECK(count_of(lines, "\"field127\":127") == 1 && count_of(lines, "\"field128\"") == 0);
    free(lines);

    coati_buffer text = {NULL, 0};
    IS(COATI_OK, coati_prometheus_text(engine, &text));
    const char end[] = " bytes]\"} 2\n";
    CHECK(text.len < 100000 && memmem(text.ptr, text.len, end, sizeof end - 1) != NULL);
    coati_buffer_free(&text);
    coati_ledger books;
    IS(COATI_OK, coati_shutdown(engine, 120000));
    IS(COATI_OK, coati_get_ledger(engine, COATI_LOGS, &books));
    CHECK(books.recorded == 4 && books.delivered == 4);

    coati_counter_free(same);
    coati_counter_free(counter);
    coati_tracer_free(tracer);
    coati_logger_free(logger);
    coati_engine_free(engine);
    munmap(zeros, length);
    return 0;
}
