/* Built with the feature test-panic: a panic inside any function becomes its panic value. */

#define COATI_TEST_PANIC
#include "check.h"

#define IS_PANIC(call)                                                                             \
    do {                                                                                           \
        coati_test_panic_next();                                                                   \
        IS(COATI_PANIC, call);                                                                     \
    } while (0)

int main(int argc, char **argv) {
    (void)argc;
    const char *path = in_directory(argv, "panic.jsonl");
    coati_engine *engine = start(path, "");
    coati_logger *logger = NULL;
    coati_tracer *tracer = NULL;
    coati_span *span = NULL;
    coati_scope *scope = NULL;
    coati_counter *counter = NULL;
    coati_up_down_counter *up_down = NULL;
    coati_gauge *gauge = NULL;
    coati_histogram *histogram = NULL;
    coati_span_context context;
    coati_ledger books;
    coati_buffer buffer = {NULL, 0};
    coati_field field = coati_i64("k", 1);
    coati_str s = COATI_STR("panic");

    coati_engine *none = NULL;
    IS_PANIC(coati_init(COATI_STR("{}"), &none));
    CHECK(none == NULL);
    IS_PANIC(coati_logger_new(engine, s, &logger));
    CHECK(logger == NULL);
    IS_PANIC(coati_tracer_new(engine, s, &tracer));
    IS_PANIC(coati_counter_new(engine, s, s, s, NULL, 0, &counter));
    IS_PANIC(coati_up_down_counter_new(engine, s, s, s, NULL, 0, &up_down));
    IS_PANIC(coati_gauge_new(engine, s, s, s, NULL, 0, &gauge));
    IS_PANIC(coati_histogram_new(engine, s, s, s, NULL, 0, NULL, 0, &histogram));

    IS(COATI_OK, coati_logger_new(engine, s, &logger));
    IS(COATI_OK, coati_tracer_new(engine, s, &tracer));
    IS(COATI_OK, coati_counter_new(engine, COATI_STR("c"), s, s, NULL, 0, &counter));
    IS(COATI_OK, coati_up_down_counter_new(engine, COATI_STR("u"), s, s, NULL, 0, &up_down));
    IS(COATI_OK, coati_gauge_new(engine, COATI_STR("g"), s, s, NULL, 0, &gauge));
    IS(COATI_OK, coati_histogram_new(engine, COATI_STR("h"), s, s, NULL, 0, NULL, 0, &histogram));

    coati_test_panic_next();
    CHECK(!coati_logger_enabled(logger, COATI_CRITICAL));
    CHECK(coati_logger_enabled(logger, COATI_CRITICAL));
    IS_PANIC(coati_log(logger, COATI_CRITICAL, s, &field, 1));
    IS_PANIC(coati_span_start(tracer, s, NULL, &span));
    CHECK(span == NULL);
    IS(COATI_OK, coati_span_start(tracer, s, NULL, &span));
    IS_PANIC(coati_span_attach(span, &scope));
    IS(COATI_OK, coati_span_attach(span, &scope));
    IS_PANIC(coati_scope_detach(scope));
    IS(COATI_OK, coati_scope_detach(scope));
    IS_PANIC(coati_span_set_attribute(span, &field));
    IS_PANIC(coati_span_add_event(span, s, &field, 1));
    IS_PANIC(coati_span_set_status(span, COATI_SPAN_OK, s));
    IS_PANIC(coati_span_get_context(span, &context));
    IS_PANIC(coati_span_end(span));
    IS_PANIC(coati_context_extract(s, s, &context));
    IS(COATI_OK, coati_span_get_context(span, &context));
    IS_PANIC(coati_context_inject(&context, &buffer));
    IS_PANIC(coati_counter_add(counter, 1));
    IS_PANIC(coati_up_down_counter_add(up_down, 1));
    IS_PANIC(coati_gauge_set(gauge, 1));
    IS_PANIC(coati_histogram_record(histogram, 1));
    IS_PANIC(coati_get_ledger(engine, COATI_LOGS, &books));
    IS_PANIC(coati_health_json(engine, &buffer));
    IS_PANIC(coati_prometheus_text(engine, &buffer));
    IS_PANIC(coati_last_error(&buffer));
    IS_PANIC(coati_flush(engine, 1000));
    IS_PANIC(coati_shutdown(engine, 1000));

    /* These have no result; what they leave undone is a leak. */
    coati_test_panic_next();
    coati_buffer_free(NULL);
    coati_test_panic_next();
    coati_logger_free(NULL);
    coati_test_panic_next();
    const char *words = coati_status_str(COATI_OK);
    CHECK(strcmp(words, coati_status_str(COATI_PANIC)) == 0);

    /* Everything still works. */
    IS(COATI_OK, coati_log(logger, COATI_CRITICAL, COATI_STR("alive"), &field, 1));
    IS(COATI_OK, coati_span_end(span));
    IS(COATI_OK, coati_shutdown(engine, 120000));
    char *lines = read_file(path);
    CHECK(count_of(lines, "\n") == 2 && count_of(lines, "\"message\":\"alive\"") == 1);
    free(lines);
    coati_span_free(span);
    coati_histogram_free(histogram);
    coati_gauge_free(gauge);
    coati_up_down_counter_free(up_down);
    coati_counter_free(counter);
    coati_tracer_free(tracer);
    coati_logger_free(logger);
    coati_engine_free(engine);
    return 0;
}
