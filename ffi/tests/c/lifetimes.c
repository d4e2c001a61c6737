/* Handles freed in every order, a fork, and an exit without a shutdown. */

#define _GNU_SOURCE
#include <pthread.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"

#ifndef ORDERS
#define ORDERS 120
#endif

static const coati_str NONE = {NULL, 0};

/* Frees the handles of an engine in the `order`th order. */
static void free_in_order(const char *path, unsigned order) {
    enum { HANDLES = 5 };
    remove(path);
    coati_engine *engine = start(path, "");
    coati_logger *logger;
    coati_tracer *tracer;
    coati_span *span;
    coati_counter *counter;
    coati_scope *scope;
    IS(COATI_OK, coati_logger_new(engine, COATI_STR("order"), &logger));
    IS(COATI_OK, coati_tracer_new(engine, COATI_STR("order"), &tracer));
    IS(COATI_OK, coati_span_start(tracer, COATI_STR("order"), NULL, &span));
    IS(COATI_OK, coati_span_attach(span, &scope));
    IS(COATI_OK, coati_counter_new(engine, COATI_STR("order"), NONE, NONE, NULL, 0, &counter));
    IS(COATI_OK, coati_log(logger, COATI_WARN, COATI_STR("before"), NULL, 0));
    unsigned freed = 0;
    for (unsigned left = HANDLES; left > 0; left--) {
        unsigned skip = order % left;
        order /= left;
        unsigned which = 0;
        for (; (freed & 1u << which) || skip-- > 0; which++) {
        }
        freed |= 1u << which;
        switch (which) {
        case 0: coati_engine_free(engine); break;
        case 1: coati_logger_free(logger); break;
        case 2: coati_tracer_free(tracer); break;
        case 3: coati_span_free(span); break;
        case 4: coati_counter_free(counter); break;
        }
        if (!(freed & 2)) {
            IS(COATI_OK, coati_log(logger, COATI_WARN, COATI_STR("still"), NULL, 0));
        }
        if (!(freed & 16)) {
            IS(COATI_OK, coati_counter_add(counter, 1));
        }
    }
    IS(COATI_OK, coati_scope_detach(scope));
    /* The last handle to go has flushed. */
    char *lines = read_file(path);
    CHECK(count_of(lines, "\"before\"") == 1 && count_of(lines, "\"span\":\"order\"") == 1);
    free(lines);
}

static void fork_and_go_on(const char *path) {
    char config[1024];
    coati_engine *engine = start(path, "");
    coati_logger *logger;
    coati_tracer *tracer;
    coati_span *span;
    coati_counter *counter;
    IS(COATI_OK, coati_logger_new(engine, COATI_STR("fork"), &logger));
    IS(COATI_OK, coati_tracer_new(engine, COATI_STR("fork"), &tracer));
    IS(COATI_OK, coati_counter_new(engine, COATI_STR("forked"), NONE, NONE, NULL, 0, &counter));
    IS(COATI_OK, coati_span_start(tracer, COATI_STR("over the fork"), NULL, &span));
    IS(COATI_OK, coati_log(logger, COATI_INFO, COATI_STR("in the parent"), NULL, 0));
    IS(COATI_OK, coati_counter_add(counter, 100));
    for (int records = 0; records < 2; records++) {
        pid_t child = fork();
        CHECK(child >= 0);
        if (child == 0) {
            if (records) {
                IS(COATI_OK, coati_log(logger, COATI_INFO, COATI_STR("in the child"), NULL, 0));
                IS(COATI_OK, coati_counter_add(counter, 1));
                IS(COATI_OK, coati_span_end(span));
                coati_buffer text = {NULL, 0};
                IS(COATI_OK, coati_prometheus_text(engine, &text));
                CHECK(strstr(text.ptr, "forked_total 1\n") != NULL);
                coati_buffer_free(&text);
            }
            /* exit flushes; a child that recorded nothing has nothing to flush. */
            exit(0);
        }
        int status = -1;
        CHECK(waitpid(child, &status, 0) == child && status == 0);
        snprintf(config, sizeof config, "grep -lsr 'in the child' $(dirname %s) >/dev/null", path);
        CHECK((system(config) == 0) == records);
    }
    IS(COATI_OK, coati_span_end(span));
    IS(COATI_OK, coati_shutdown(engine, 120000));
    char *lines = read_file(path);
    CHECK(count_of(lines, "over the fork") == 1 && count_of(lines, "in the parent") == 1);
    free(lines);
    coati_span_free(span);
    coati_counter_free(counter);
    coati_tracer_free(tracer);
    coati_logger_free(logger);
    coati_engine_free(engine);
}

static pthread_key_t key;
static coati_logger *late_logger;

static void log_late(void *value) {
    (void)value;
    coati_status status = coati_log(late_logger, COATI_INFO, COATI_STR("late"), NULL, 0);
    CHECK(status == COATI_OK || status == COATI_STOPPED);
}

static void *end_with_a_value(void *value) {
    IS(COATI_OK, coati_log(late_logger, COATI_INFO, COATI_STR("in time"), NULL, 0));
    pthread_setspecific(key, value);
    return NULL;
}

/* A thread that records while its thread-locals are destroyed. */
static void late_records(const char *path) {
    coati_engine *engine = start(path, "");
    IS(COATI_OK, coati_logger_new(engine, COATI_STR("late"), &late_logger));
    CHECK(pthread_key_create(&key, log_late) == 0);
    pthread_t thread;
    CHECK(pthread_create(&thread, NULL, end_with_a_value, &key) == 0);
    pthread_join(thread, NULL);
    coati_ledger books;
    IS(COATI_OK, coati_shutdown(engine, 120000));
    IS(COATI_OK, coati_get_ledger(engine, COATI_LOGS, &books));
    CHECK(books.recorded == 2 && books.recorded == books.delivered + books.dropped);
    coati_logger_free(late_logger);
    coati_engine_free(engine);
}

/* The process ends with a running engine, an attached scope and a record just made. */
static void exit_at_once(const char *path) {
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        coati_engine *engine = start(path, "");
        coati_logger *logger;
        IS(COATI_OK, coati_logger_new(engine, COATI_STR("exit"), &logger));
        IS(COATI_OK, coati_log(logger, COATI_INFO, COATI_STR("last words"), NULL, 0));
        exit(0);
    }
    int status = -1;
    CHECK(waitpid(child, &status, 0) == child && status == 0);
    char *lines = read_file(path);
    CHECK(count_of(lines, "last words") == 1);
    free(lines);
}

int main(int argc, char **argv) {
    (void)argc;
    for (unsigned order = 0; order < ORDERS; order++) {
        free_in_order(in_directory(argv, "order.jsonl"), order);
    }
    exit_at_once(in_directory(argv, "exit.jsonl"));
    fork_and_go_on(in_directory(argv, "fork.jsonl"));
    late_records(in_directory(argv, "late.jsonl"));
    return 0;
}
