/* Several threads on the same handles, spans handed from one to another, scopes detached by
 * somebody else; then the books against the lines in the file. */

#define _GNU_SOURCE
#include <pthread.h>

#include "check.h"

#ifndef CALLS
#define CALLS 2000
#endif
enum { THREADS = 8 };

static coati_engine *engine;
static coati_logger *logger;
static coati_tracer *tracer;
static coati_counter *counter;
static coati_up_down_counter *up_down;
static coati_histogram *histogram;
static coati_gauge *gauge;
static coati_span *shared;
static coati_scope *left_behind[THREADS];
static coati_span *handed_on[THREADS];

static void *work(void *argument) {
    size_t number = (size_t)argument;
    coati_span_context parent;
    IS(COATI_OK, coati_span_get_context(shared, &parent));
    for (int i = 0; i < CALLS; i++) {
        coati_span *span = NULL;
        coati_scope *scope = NULL;
        coati_field fields[] = {coati_u64("thread", number), coati_i64("call", i)};
        IS(COATI_OK, coati_span_start(tracer, COATI_STR("call"), &parent, &span));
        IS(COATI_OK, coati_span_attach(span, &scope));
        IS(COATI_OK, coati_log(logger, COATI_INFO, COATI_STR("call"), fields, 2));
        IS(COATI_OK, coati_span_set_attribute(shared, &fields[i % 2]));
        IS(COATI_OK, coati_counter_add(counter, 1));
        IS(COATI_OK, coati_counter_add(counter, 0.5));
        IS(COATI_OK, coati_up_down_counter_add(up_down, i % 2 ? 1 : -1));
        IS(COATI_OK, coati_histogram_record(histogram, i));
        IS(COATI_OK, coati_gauge_set(gauge, i));
        IS(COATI_OK, coati_scope_detach(scope));
        coati_span_free(span);
    }
    /* The thread ends with a span attached; another one ends and detaches it. */
    IS(COATI_OK, coati_span_start(tracer, COATI_STR("handed on"), &parent, &handed_on[number]));
    IS(COATI_OK, coati_span_attach(handed_on[number], &left_behind[number]));
    return NULL;
}

struct meeting {
    pthread_barrier_t attached, detached;
    coati_scope *scope;
};

static void *hold(void *argument) {
    struct meeting *meeting = argument;
    coati_span *span = NULL;
    IS(COATI_OK, coati_span_start(tracer, COATI_STR("held"), NULL, &span));
    IS(COATI_OK, coati_span_attach(span, &meeting->scope));
    IS(COATI_OK, coati_log(logger, COATI_INFO, COATI_STR("held"), NULL, 0));
    pthread_barrier_wait(&meeting->attached);
    pthread_barrier_wait(&meeting->detached);
    IS(COATI_OK, coati_log(logger, COATI_INFO, COATI_STR("let go"), NULL, 0));
    coati_span_free(span);
    return NULL;
}

static void detach_from_elsewhere(void) {
    struct meeting meeting;
    pthread_t thread;
    pthread_barrier_init(&meeting.attached, NULL, 2);
    pthread_barrier_init(&meeting.detached, NULL, 2);
    CHECK(pthread_create(&thread, NULL, hold, &meeting) == 0);
    pthread_barrier_wait(&meeting.attached);
    IS(COATI_OK, coati_scope_detach(meeting.scope));
    pthread_barrier_wait(&meeting.detached);
    pthread_join(thread, NULL);
    pthread_barrier_destroy(&meeting.attached);
    pthread_barrier_destroy(&meeting.detached);
}

int main(int argc, char **argv) {
    (void)argc;
    const char *path = in_directory(argv, "threads.jsonl");
    engine = start(path, "\"ring\": {\"overflow\": \"block\", \"block_ms\": 60000},");
    IS(COATI_OK, coati_logger_new(engine, COATI_STR("threads"), &logger));
    IS(COATI_OK, coati_tracer_new(engine, COATI_STR("threads"), &tracer));
    coati_str none = {NULL, 0};
    IS(COATI_OK, coati_counter_new(engine, COATI_STR("calls"), none, none, NULL, 0, &counter));
    IS(COATI_OK, coati_up_down_counter_new(engine, COATI_STR("open"), none, none, NULL, 0, &up_down));
    IS(COATI_OK, coati_gauge_new(engine, COATI_STR("last"), none, none, NULL, 0, &gauge));
    IS(COATI_OK,
       coati_histogram_new(engine, COATI_STR("values"), none, none, NULL, 0, NULL, 0, &histogram));
    IS(COATI_OK, coati_span_start(tracer, COATI_STR("shared"), NULL, &shared));

    pthread_t threads[THREADS];
    for (size_t i = 0; i < THREADS; i++) {
        CHECK(pthread_create(&threads[i], NULL, work, (void *)i) == 0);
    }
    /* Readers meanwhile. */
    for (int i = 0; i < 20; i++) {
        coati_ledger books;
        coati_buffer text = {NULL, 0};
        IS(COATI_OK, coati_get_ledger(engine, COATI_LOGS, &books));
        CHECK(books.recorded >= books.delivered + books.dropped);
        IS(COATI_OK, coati_prometheus_text(engine, &text));
        coati_buffer_free(&text);
        IS(COATI_OK, coati_health_json(engine, &text));
        coati_buffer_free(&text);
        IS(COATI_OK, coati_flush(engine, 120000));
    }
    for (size_t i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
        IS(COATI_OK, coati_span_end(handed_on[i]));
        IS(COATI_OK, coati_scope_detach(left_behind[i]));
        coati_span_free(handed_on[i]);
    }
    coati_span_free(shared);
    detach_from_elsewhere();

    coati_buffer text = {NULL, 0};
    IS(COATI_OK, coati_prometheus_text(engine, &text));
    char expected[64];
    snprintf(expected, sizeof expected, "calls_total %d", THREADS * CALLS / 2 * 3);
    CHECK(strstr(text.ptr, expected) != NULL);
    snprintf(expected, sizeof expected, "values_count %d\n", THREADS * CALLS);
    CHECK(strstr(text.ptr, "open 0\n") && strstr(text.ptr, expected) != NULL);
    coati_buffer_free(&text);

    IS(COATI_OK, coati_shutdown(engine, 120000));
    coati_ledger logs, spans;
    IS(COATI_OK, coati_get_ledger(engine, COATI_LOGS, &logs));
    IS(COATI_OK, coati_get_ledger(engine, COATI_SPANS, &spans));
    CHECK(logs.recorded == THREADS * CALLS + 2 && logs.delivered == logs.recorded);
    CHECK(spans.recorded == THREADS * (CALLS + 1) + 2 && spans.delivered == spans.recorded);
    char *lines = read_file(path);
    CHECK((uint64_t)count_of(lines, "\n") == logs.delivered + spans.delivered);
    CHECK(count_of(lines, "\"span\":\"handed on\"") == THREADS);
    char *held = strstr(lines, "\"message\":\"held\""), *let_go = strstr(lines, "\"message\":\"let go\"");
    CHECK(held && strncmp(held, "\"message\":\"held\",\"service\":\"test\",\"trace_id\"", 44) == 0);
    CHECK(let_go && strncmp(let_go, "\"message\":\"let go\",\"service\":\"test\"}", 36) == 0);
    free(lines);

    coati_engine_free(engine);
    coati_histogram_free(histogram);
    coati_gauge_free(gauge);
    coati_up_down_counter_free(up_down);
    coati_counter_free(counter);
    coati_tracer_free(tracer);
    coati_logger_free(logger);
    return 0;
}
