/* The smallest whole program: a log line, a span, a counter.
 *
 *     cc hello.c $(pkg-config --cflags --libs coati) -o hello && ./hello
 */

#include <stdio.h>

#include "coati.h"

int main(void) {
    coati_engine *engine = NULL;
    coati_status status = coati_init(COATI_STR("{\"service\": \"hello\"}"), &engine);
    if (status != COATI_OK) {
        coati_buffer why = {NULL, 0};
        coati_last_error(&why);
        fprintf(stderr, "coati: %s: %s\n", coati_status_str(status), why.ptr);
        coati_buffer_free(&why);
        return 1;
    }

    coati_logger *log = NULL;
    coati_tracer *tracer = NULL;
    coati_counter *greetings = NULL;
    coati_logger_new(engine, COATI_STR("hello"), &log);
    coati_tracer_new(engine, COATI_STR("hello"), &tracer);
    coati_field labels[] = {coati_text("language", "en")};
    coati_counter_new(engine, COATI_STR("greetings"), COATI_STR("1"), COATI_STR("Greetings said"),
                      labels, 1, &greetings);

    /* Handles need no check: on a null one every call does nothing and says so. */
    coati_span *span = NULL;
    coati_scope *scope = NULL;
    coati_span_start(tracer, COATI_STR("greet"), NULL, &span);
    coati_span_attach(span, &scope);

    coati_field fields[] = {coati_text("to", "world"), coati_i64("attempt", 1)};
    coati_log(log, COATI_INFO, COATI_STR("hello"), fields, 2);
    coati_counter_add(greetings, 1);

    coati_scope_detach(scope);
    coati_span_end(span);

    status = coati_shutdown(engine, 5000);
    coati_ledger books;
    coati_get_ledger(engine, COATI_LOGS, &books);
    printf("%s: %llu recorded, %llu delivered\n", coati_status_str(status),
           (unsigned long long)books.recorded, (unsigned long long)books.delivered);

    coati_span_free(span);
    coati_counter_free(greetings);
    coati_tracer_free(tracer);
    coati_logger_free(log);
    coati_engine_free(engine);
    return books.recorded == books.delivered ? 0 : 1;
}
