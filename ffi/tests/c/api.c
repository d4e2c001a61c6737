/* Every function, with what it asks for, with NULL, with garbage and at the extremes. */

#include <math.h>

#include "check.h"

static const coati_str TOO_LONG = {"x", SIZE_MAX};
static const coati_str NOT_THERE = {NULL, 3};
static const coati_str NOTHING = {NULL, 0};
static const coati_str NOT_UTF8 = {"a\xff\xfe", 3};

static void null_handles(void) {
    coati_buffer buffer;
    coati_ledger ledger;
    coati_span_context context;
    coati_field field = coati_i64("k", 1);
    coati_logger *logger = (coati_logger *)&field;
    coati_tracer *tracer = (coati_tracer *)&field;
    coati_span *span = (coati_span *)&field;
    coati_scope *scope = (coati_scope *)&field;
    coati_counter *counter = (coati_counter *)&field;
    coati_up_down_counter *up_down = (coati_up_down_counter *)&field;
    coati_gauge *gauge = (coati_gauge *)&field;
    coati_histogram *histogram = (coati_histogram *)&field;
    coati_str s = COATI_STR("name");

    coati_engine_free(NULL);
    coati_logger_free(NULL);
    coati_tracer_free(NULL);
    coati_span_free(NULL);
    coati_counter_free(NULL);
    coati_up_down_counter_free(NULL);
    coati_gauge_free(NULL);
    coati_histogram_free(NULL);
    coati_buffer_free(NULL);

    IS(COATI_NULL_HANDLE, coati_flush(NULL, 0));
    IS(COATI_NULL_HANDLE, coati_shutdown(NULL, UINT64_MAX));
    IS(COATI_NULL_HANDLE, coati_get_ledger(NULL, COATI_LOGS, &ledger));
    CHECK(ledger.recorded == 0 && ledger.in_flight == 0);
    IS(COATI_NULL_HANDLE, coati_get_ledger(NULL, 77, NULL));
    IS(COATI_NULL_HANDLE, coati_health_json(NULL, &buffer));
    CHECK(buffer.ptr == NULL && buffer.len == 0);
    IS(COATI_NULL_HANDLE, coati_health_json(NULL, NULL));
    IS(COATI_NULL_HANDLE, coati_prometheus_text(NULL, &buffer));
    IS(COATI_NULL_HANDLE, coati_logger_new(NULL, s, &logger));
    CHECK(logger == NULL);
    CHECK(!coati_logger_enabled(NULL, COATI_CRITICAL));
    IS(COATI_NULL_HANDLE, coati_log(NULL, COATI_INFO, s, &field, 1));
    IS(COATI_NULL_HANDLE, coati_log(NULL, 255, NOT_THERE, NULL, SIZE_MAX));
    IS(COATI_NULL_HANDLE, coati_tracer_new(NULL, s, &tracer));
    CHECK(tracer == NULL);
    IS(COATI_NULL_HANDLE, coati_span_start(NULL, s, NULL, &span));
    CHECK(span == NULL);
    IS(COATI_NULL_HANDLE, coati_span_start(NULL, s, NULL, NULL));
    IS(COATI_NULL_HANDLE, coati_span_attach(NULL, &scope));
    CHECK(scope == NULL);
    IS(COATI_NULL_HANDLE, coati_scope_detach(NULL));
    IS(COATI_NULL_HANDLE, coati_span_set_attribute(NULL, &field));
    IS(COATI_NULL_HANDLE, coati_span_set_attribute(NULL, NULL));
    IS(COATI_NULL_HANDLE, coati_span_add_event(NULL, s, &field, 1));
    IS(COATI_NULL_HANDLE, coati_span_set_status(NULL, COATI_SPAN_OK, s));
    IS(COATI_NULL_HANDLE, coati_span_get_context(NULL, &context));
    CHECK(context.trace_id[0] == 0 && context.flags == 0);
    IS(COATI_NULL_HANDLE, coati_span_end(NULL));
    IS(COATI_NULL_HANDLE, coati_counter_new(NULL, s, s, s, NULL, 0, &counter));
    CHECK(counter == NULL);
    IS(COATI_NULL_HANDLE, coati_counter_add(NULL, 1));
    IS(COATI_NULL_HANDLE, coati_up_down_counter_new(NULL, s, s, s, NULL, 0, &up_down));
    CHECK(up_down == NULL);
    IS(COATI_NULL_HANDLE, coati_up_down_counter_add(NULL, 1));
    IS(COATI_NULL_HANDLE, coati_gauge_new(NULL, s, s, s, NULL, 0, &gauge));
    CHECK(gauge == NULL);
    IS(COATI_NULL_HANDLE, coati_gauge_set(NULL, NAN));
    IS(COATI_NULL_HANDLE, coati_histogram_new(NULL, s, s, s, NULL, 0, NULL, 0, &histogram));
    CHECK(histogram == NULL);
    IS(COATI_NULL_HANDLE, coati_histogram_record(NULL, NAN));
}

static void configuration(void) {
    coati_engine *engine = (coati_engine *)&engine;
    coati_buffer why = {NULL, 0};
    const char *bad[] = {"{", "[]", "1", "null", "{\"logs\": {\"levle\": \"info\"}}",
                         "{\"logs\": {\"level\": \"loud\"}}", "{\"preset\": 1}",
                         "{\"preset\": \"nobody's\"}", "{\"config_file\": \"/not/there.toml\"}"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        coati_status status = coati_init(coati_string(bad[i]), &engine);
        if (status != COATI_BAD_CONFIG) {
            fprintf(stderr, "%s is %s\n", bad[i], coati_status_str(status));
            exit(1);
        }
        CHECK(engine == NULL);
        IS(COATI_OK, coati_last_error(&why));
        CHECK(why.len > 0 && strlen(why.ptr) == why.len);
        coati_buffer_free(&why);
        CHECK(why.ptr == NULL && why.len == 0);
        coati_buffer_free(&why);
    }
    IS(COATI_BAD_CONFIG, coati_init(NOT_UTF8, &engine));
    IS(COATI_BAD_ARGUMENT, coati_init(NOT_THERE, &engine));
    IS(COATI_BAD_ARGUMENT, coati_init(TOO_LONG, &engine));
    IS(COATI_BAD_ARGUMENT, coati_init(NOTHING, NULL));
    IS(COATI_BAD_ARGUMENT, coati_last_error(NULL));

    IS(COATI_OK, coati_init(NOTHING, &engine));
    coati_engine_free(engine);
    IS(COATI_OK, coati_init(COATI_STR("  {} "), &engine));
    coati_engine_free(engine);
    IS(COATI_OK, coati_init(COATI_STR("{\"preset\": \"production\", \"enabled\": false}"), &engine));
    coati_logger *logger;
    coati_tracer *tracer;
    coati_span *span;
    IS(COATI_OK, coati_logger_new(engine, COATI_STR("off"), &logger));
    IS(COATI_OK, coati_log(logger, COATI_CRITICAL, COATI_STR("nothing"), NULL, 0));
    IS(COATI_OK, coati_tracer_new(engine, COATI_STR("off"), &tracer));
    IS(COATI_OK, coati_span_start(tracer, COATI_STR("nothing"), NULL, &span));
    IS(COATI_OK, coati_span_end(span));
    IS(COATI_ALREADY_ENDED, coati_span_end(span));
    coati_span_free(span);
    coati_tracer_free(tracer);
    coati_logger_free(logger);
    coati_engine_free(engine);
}

static void logs(coati_engine *engine, const char *path) {
    coati_logger *logger = NULL;
    coati_field field = coati_i64("k", 1);
    coati_str message = COATI_STR("message");
    IS(COATI_BAD_ARGUMENT, coati_logger_new(engine, NOT_THERE, &logger));
    IS(COATI_BAD_ARGUMENT, coati_logger_new(engine, COATI_STR("l"), NULL));
    IS(COATI_OK, coati_logger_new(engine, NOT_UTF8, &logger));
    coati_logger_free(logger);
    IS(COATI_OK, coati_logger_new(engine, NOTHING, &logger));
    coati_logger_free(logger);
    IS(COATI_OK, coati_logger_new(engine, COATI_STR("api"), &logger));

    CHECK(coati_logger_enabled(logger, COATI_INFO));
    CHECK(!coati_logger_enabled(logger, COATI_DEBUG));
    CHECK(!coati_logger_enabled(logger, 5) && !coati_logger_enabled(logger, 255));

    IS(COATI_OK, coati_log(logger, COATI_DEBUG, message, &field, 1));
    IS(COATI_OK, coati_log(logger, COATI_INFO, message, NULL, 0));
    IS(COATI_OK, coati_log(logger, COATI_INFO, message, &field, 0));
    IS(COATI_OK, coati_log(logger, COATI_CRITICAL, NOTHING, &field, 1));
    for (int level = 5; level < 256; level++) {
        IS(COATI_BAD_ARGUMENT, coati_log(logger, (coati_level)level, message, &field, 1));
    }
    IS(COATI_BAD_ARGUMENT, coati_log(logger, COATI_INFO, NOT_THERE, &field, 1));
    IS(COATI_BAD_ARGUMENT, coati_log(logger, COATI_INFO, TOO_LONG, &field, 1));
    IS(COATI_BAD_ARGUMENT, coati_log(logger, COATI_INFO, message, NULL, 1));
    IS(COATI_BAD_ARGUMENT, coati_log(logger, COATI_DEBUG, message, NULL, 1));
    IS(COATI_BAD_ARGUMENT, coati_log(logger, COATI_INFO, message, &field, SIZE_MAX));
    IS(COATI_BAD_ARGUMENT, coati_log(logger, COATI_INFO, message, &field, SIZE_MAX / 40));
    uint32_t no_types[] = {0, 6, 255, UINT32_MAX};
    for (size_t i = 0; i < sizeof no_types / sizeof *no_types; i++) {
        coati_field wrong = field;
        wrong.type = no_types[i];
        IS(COATI_BAD_ARGUMENT, coati_log(logger, COATI_INFO, message, &wrong, 1));
    }
    coati_field wrong = coati_text("k", "v");
    wrong.value.str = NOT_THERE;
    IS(COATI_BAD_ARGUMENT, coati_log(logger, COATI_INFO, message, &wrong, 1));
    wrong = field;
    wrong.key = NOT_THERE;
    IS(COATI_BAD_ARGUMENT, coati_log(logger, COATI_INFO, message, &wrong, 1));
    wrong.key = TOO_LONG;
    IS(COATI_BAD_ARGUMENT, coati_log(logger, COATI_INFO, message, &wrong, 1));

    coati_field odd[] = {
        coati_f64("nan", NAN),        coati_f64("inf", -INFINITY),  coati_i64("min", INT64_MIN),
        coati_u64("max", UINT64_MAX), coati_bool("yes", true),      coati_text("none", NULL),
        coati_text("message", "own"), coati_text("", "no key"),     coati_text("umlaut", "\xc3\xa4"),
        coati_text("cut", "a\xc3"),   coati_text("quote", "\"\\\n"), coati_i64("b\xff", 7),
    };
    odd[4].value.u64 = 0xffffffffffffff02; /* A bool that is neither 0 nor 1. */
    IS(COATI_OK, coati_log(logger, COATI_WARN, COATI_STR("odd \xff"), odd,
                           sizeof odd / sizeof *odd));
    coati_field twice[] = {coati_i64("same", 1), coati_i64("other", 2), coati_i64("same", 3)};
    IS(COATI_OK, coati_log(logger, COATI_ERROR, COATI_STR("twice"), twice, 3));

    enum { MANY = 1000, LONG = 3000000 };
    static coati_field many[MANY];
    static char keys[MANY][8];
    for (int i = 0; i < MANY; i++) {
        snprintf(keys[i], sizeof keys[i], "k%d", i);
        many[i] = coati_i64(keys[i], i);
    }
    IS(COATI_OK, coati_log(logger, COATI_INFO, COATI_STR("many"), many, MANY));
    char *lots = (char *)malloc(LONG);
    CHECK(lots != NULL);
    coati_field text = coati_text("text", NULL);
    coati_str long_text = {lots, LONG};
    text.value.str = long_text;
    int bytes[] = {'x', 0xff, 0xc3, 0};
    for (size_t i = 0; i < sizeof bytes / sizeof *bytes; i++) {
        memset(lots, bytes[i], LONG);
        IS(COATI_OK, coati_log(logger, COATI_INFO, COATI_STR("long"), &text, 1));
        IS(COATI_OK, coati_log(logger, COATI_INFO, long_text, NULL, 0));
        coati_field long_key = field;
        long_key.key = long_text;
        IS(COATI_OK, coati_log(logger, COATI_INFO, COATI_STR("key"), &long_key, 1));
    }
    free(lots);
    /* A key at an address that had another one. */
    char key[] = "first";
    for (int i = 0; i < 2; i++) {
        coati_field reused = coati_i64(key, i);
        IS(COATI_OK, coati_log(logger, COATI_INFO, COATI_STR("reused"), &reused, 1));
        memcpy(key, "other", 5);
    }

    IS(COATI_OK, coati_flush(engine, 120000));
    char *lines = read_file(path);
    CHECK(strstr(lines, "\"message\":\"odd \xef\xbf\xbd\"") != NULL);
    CHECK(strstr(lines, "\"nan\":\"NaN\",\"inf\":\"-Infinity\",\"min\":-9223372036854775808,"
                        "\"max\":18446744073709551615,\"yes\":true,\"none\":\"\","
                        "\"field.message\":\"own\",\"\":\"no key\",\"umlaut\":\"\xc3\xa4\","
                        "\"cut\":\"a\xef\xbf\xbd\",\"quote\":\"\\\"\\\\\\n\",\"b\xef\xbf\xbd\":7") !=
          NULL);
    CHECK(count_of(lines, "\"same\"") == 1 && strstr(lines, "\"same\":3") != NULL);
    CHECK(strstr(lines, "\"k127\":127") != NULL && strstr(lines, "\"k128\"") == NULL);
    CHECK(strstr(lines, "\"dropped_fields\":872") != NULL);
    CHECK(strstr(lines, "\xe2\x80\xa6[+2983616 bytes]") != NULL);
    CHECK(strstr(lines, "\"first\":0") != NULL && strstr(lines, "\"other\":1") != NULL);
    free(lines);
    coati_logger_free(logger);
}

static int says(coati_status (*read)(const coati_context *, coati_buffer *),
                const coati_context *context, const char *expected) {
    coati_buffer buffer = {NULL, 0};
    IS(COATI_OK, read(context, &buffer));
    int same = strcmp(buffer.ptr, expected) == 0;
    coati_buffer_free(&buffer);
    return same;
}

/* Everything that crosses processes. */
static void propagation(coati_engine *engine, const char *path) {
    const char *parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    coati_context *context = NULL, *own = NULL, *none = NULL;
    coati_tracer *tracer = NULL;
    coati_span *span = NULL, *child = NULL;
    coati_scope *scope = NULL;
    coati_span_context ids;
    coati_buffer buffer = {NULL, 0};
    IS(COATI_BAD_ARGUMENT, coati_context_parse(NOT_THERE, NOTHING, NOTHING, &context));
    IS(COATI_BAD_ARGUMENT, coati_context_parse(NOTHING, NOT_THERE, NOTHING, &context));
    IS(COATI_BAD_ARGUMENT, coati_context_parse(NOTHING, NOTHING, NOTHING, NULL));
    IS(COATI_OK, coati_context_parse(NOT_UTF8, NOT_UTF8, NOT_UTF8, &none));
    CHECK(says(coati_context_traceparent, none, "") && says(coati_context_baggage, none, ""));
    IS(COATI_OK, coati_context_get_span(none, &ids));
    CHECK(ids.trace_id[0] == 0 && ids.remote == 0);
    IS(COATI_OK, coati_context_parse(coati_string(parent), COATI_STR("a=1, b=2"),
                                     COATI_STR("user=%C3%A9,x=1;p"), &context));
    CHECK(says(coati_context_traceparent, context, parent));
    CHECK(says(coati_context_tracestate, context, "a=1,b=2"));
    CHECK(says(coati_context_baggage, context, "user=%C3%A9,x=1;p"));
    IS(COATI_OK, coati_context_set_tracestate(context, COATI_STR("b"), COATI_STR("3")));
    IS(COATI_BAD_ARGUMENT, coati_context_set_tracestate(context, COATI_STR("B"), COATI_STR("3")));
    IS(COATI_OK, coati_context_set_baggage(context, COATI_STR("n"), COATI_STR("a b")));
    IS(COATI_BAD_ARGUMENT, coati_context_set_baggage(context, COATI_STR("a b"), COATI_STR("1")));
    IS(COATI_OK, coati_context_remove_baggage(context, COATI_STR("x")));
    IS(COATI_BAD_ARGUMENT, coati_context_remove_baggage(context, COATI_STR("x")));
    IS(COATI_OK, coati_context_get_baggage(context, COATI_STR("user"), &buffer));
    CHECK(strcmp(buffer.ptr, "\xc3\xa9") == 0);
    coati_buffer_free(&buffer);
    IS(COATI_BAD_ARGUMENT, coati_context_get_baggage(context, COATI_STR("x"), &buffer));
    IS(COATI_NULL_HANDLE, coati_context_get_baggage(NULL, COATI_STR("x"), &buffer));
    IS(COATI_NULL_HANDLE, coati_context_traceparent(NULL, &buffer));
    IS(COATI_NULL_HANDLE, coati_context_of_span(NULL, &own));
    IS(COATI_NULL_HANDLE, coati_context_set_baggage(NULL, NOTHING, NOTHING));
    CHECK(buffer.ptr == NULL && own == NULL);

    /* A span under it, and one under that span where it is current, pass everything on. */
    IS(COATI_OK, coati_tracer_new(engine, COATI_STR("propagation"), &tracer));
    IS(COATI_NULL_HANDLE, coati_span_start_in(tracer, COATI_STR("in"), NULL, &span));
    IS(COATI_NULL_HANDLE, coati_span_start_in(NULL, COATI_STR("in"), context, &span));
    IS(COATI_OK, coati_span_start_in(tracer, COATI_STR("in"), context, &span));
    coati_context_free(context);
    IS(COATI_OK, coati_span_attach(span, &scope));
    IS(COATI_OK, coati_span_start(tracer, COATI_STR("below"), NULL, &child));
    IS(COATI_OK, coati_scope_detach(scope));
    coati_span_free(span);
    IS(COATI_OK, coati_span_end(child));
    IS(COATI_OK, coati_context_of_span(child, &own));
    coati_span_free(child);
    CHECK(says(coati_context_tracestate, own, "b=3,a=1"));
    CHECK(says(coati_context_baggage, own, "user=%C3%A9,n=a%20b"));
    IS(COATI_OK, coati_context_get_span(own, &ids));
    CHECK(ids.trace_id[0] == 0x0a && !ids.remote);
    coati_context_free(own);
    IS(COATI_OK, coati_span_start_in(tracer, COATI_STR("root"), none, &span));
    coati_span_free(span);
    coati_context_free(none);
    coati_context_free(NULL);
    coati_tracer_free(tracer);
    IS(COATI_OK, coati_flush(engine, 120000));
    char *lines = read_file(path);
    char *below = strstr(lines, "{\"span\":\"below\"");
    CHECK(below != NULL && strstr(below, "\"trace_state\":\"b=3,a=1\"") != NULL);
    free(lines);
}

static void spans(coati_engine *engine, const char *path) {
    coati_tracer *tracer = NULL;
    coati_logger *logger = NULL;
    coati_span *root = NULL, *child = NULL, *remote = NULL;
    coati_scope *outer = NULL, *inner = NULL;
    coati_span_context context, own, zero;
    coati_field field = coati_text("agent", "a1"), wrong = field;
    coati_str name = COATI_STR("plan");
    memset(&zero, 0, sizeof zero);
    IS(COATI_OK, coati_logger_new(engine, COATI_STR("spans"), &logger));
    IS(COATI_BAD_ARGUMENT, coati_tracer_new(engine, NOT_THERE, &tracer));
    IS(COATI_BAD_ARGUMENT, coati_tracer_new(engine, name, NULL));
    IS(COATI_OK, coati_tracer_new(engine, COATI_STR("api"), &tracer));
    IS(COATI_BAD_ARGUMENT, coati_span_start(tracer, NOT_THERE, NULL, &root));
    IS(COATI_BAD_ARGUMENT, coati_span_start(tracer, name, NULL, NULL));
    IS(COATI_OK, coati_span_start(tracer, name, NULL, &root));
    IS(COATI_BAD_ARGUMENT, coati_span_attach(root, NULL));
    IS(COATI_OK, coati_span_attach(root, &outer));
    IS(COATI_OK, coati_span_start(tracer, COATI_STR("step"), NULL, &child));
    IS(COATI_OK, coati_span_attach(child, &inner));
    IS(COATI_OK, coati_log(logger, COATI_INFO, COATI_STR("inside"), NULL, 0));
    /* In the wrong order. */
    IS(COATI_OK, coati_scope_detach(outer));
    IS(COATI_OK, coati_log(logger, COATI_INFO, COATI_STR("still inside"), NULL, 0));
    IS(COATI_OK, coati_scope_detach(inner));
    IS(COATI_OK, coati_log(logger, COATI_INFO, COATI_STR("outside"), NULL, 0));

    IS(COATI_OK, coati_span_set_attribute(child, &field));
    field.value.str = NOT_UTF8;
    IS(COATI_OK, coati_span_set_attribute(child, &field));
    IS(COATI_BAD_ARGUMENT, coati_span_set_attribute(child, NULL));
    wrong.type = UINT32_MAX;
    IS(COATI_BAD_ARGUMENT, coati_span_set_attribute(child, &wrong));
    IS(COATI_BAD_ARGUMENT, coati_span_add_event(child, name, &wrong, 1));
    IS(COATI_BAD_ARGUMENT, coati_span_add_event(child, name, NULL, 1));
    IS(COATI_BAD_ARGUMENT, coati_span_add_event(child, NOT_THERE, NULL, 0));
    for (int i = 0; i < 200; i++) {
        IS(COATI_OK, coati_span_add_event(child, COATI_STR("retry"), &field, 1));
    }
    IS(COATI_BAD_ARGUMENT, coati_span_set_status(child, 3, NOTHING));
    IS(COATI_BAD_ARGUMENT, coati_span_set_status(child, UINT32_MAX, NOTHING));
    IS(COATI_BAD_ARGUMENT, coati_span_set_status(child, COATI_SPAN_ERROR, NOT_THERE));
    IS(COATI_OK, coati_span_set_status(child, COATI_SPAN_ERROR, COATI_STR("why")));
    IS(COATI_OK, coati_span_set_status(child, COATI_SPAN_UNSET, NOTHING));
    IS(COATI_BAD_ARGUMENT, coati_span_get_context(child, NULL));
    IS(COATI_OK, coati_span_get_context(child, &own));
    IS(COATI_OK, coati_span_end(child));
    IS(COATI_ALREADY_ENDED, coati_span_end(child));
    IS(COATI_ALREADY_ENDED, coati_span_set_attribute(child, &field));
    IS(COATI_OK, coati_span_get_context(child, &context));
    CHECK(memcmp(&own, &context, sizeof own) == 0 && (own.flags & 1) && !own.remote);
    coati_span_free(child);

    /* There and back in a header. */
    coati_buffer header = {NULL, 0};
    IS(COATI_OK, coati_context_inject(&own, &header));
    CHECK(header.len == 55 && strlen(header.ptr) == 55);
    coati_str text = {header.ptr, header.len};
    IS(COATI_OK, coati_context_extract(text, NOTHING, &context));
    CHECK(context.remote == 1 && memcmp(context.trace_id, own.trace_id, 16) == 0);
    CHECK(memcmp(context.span_id, own.span_id, 8) == 0);
    IS(COATI_OK, coati_span_start(tracer, COATI_STR("remote"), &context, &remote));
    coati_span_free(remote); /* ends it */
    IS(COATI_OK, coati_span_start(tracer, COATI_STR("new root"), &zero, &remote));
    IS(COATI_OK, coati_span_end(remote));
    coati_span_free(remote);
    memset(&context, 0xff, sizeof context);
    IS(COATI_OK, coati_span_start(tracer, COATI_STR("any bytes"), &context, &remote));
    coati_span_free(remote);

    text.len = 54;
    IS(COATI_BAD_ARGUMENT, coati_context_extract(text, NOTHING, &context));
    CHECK(context.trace_id[0] == 0 && context.remote == 0);
    text.len = 55;
    IS(COATI_BAD_ARGUMENT, coati_context_extract(text, NOT_THERE, &context));
    IS(COATI_BAD_ARGUMENT, coati_context_extract(text, NOTHING, NULL));
    IS(COATI_BAD_ARGUMENT, coati_context_extract(NOT_UTF8, NOTHING, &context));
    IS(COATI_BAD_ARGUMENT, coati_context_extract(NOTHING, NOTHING, &context));
    IS(COATI_BAD_ARGUMENT, coati_context_extract(TOO_LONG, NOTHING, &context));
    coati_buffer_free(&header);
    IS(COATI_BAD_ARGUMENT, coati_context_inject(&zero, &header));
    CHECK(header.ptr == NULL);
    IS(COATI_BAD_ARGUMENT, coati_context_inject(NULL, &header));
    IS(COATI_BAD_ARGUMENT, coati_context_inject(&own, NULL));

    coati_span_free(root);
    coati_tracer_free(tracer);
    coati_logger_free(logger);
    IS(COATI_OK, coati_flush(engine, 120000));
    char *lines = read_file(path);
    char *outside = strstr(lines, "\"message\":\"outside\"");
    CHECK(outside != NULL);
    CHECK(strncmp(outside + 19, ",\"service\":\"test\"}\n", 19) == 0);
    CHECK(count_of(lines, "\"span\":\"step\"") == 1 && count_of(lines, "\"name\":\"retry\"") == 128);
    CHECK(strstr(lines, "\"attributes\":{\"agent\":\"a\xef\xbf\xbd\xef\xbf\xbd\"}") != NULL);
    CHECK(strstr(lines, "\"status\":{\"code\":\"error\",\"description\":\"why\"}") != NULL);
    free(lines);
}

static void metrics(coati_engine *engine) {
    coati_counter *counter = NULL, *same = NULL;
    coati_up_down_counter *up_down = NULL;
    coati_gauge *gauge = NULL;
    coati_histogram *histogram = NULL, *explicit_one = NULL;
    coati_field label = coati_text("agent", "a1"), wrong = label;
    coati_str name = COATI_STR("runs"), unit = COATI_STR("1"), what = COATI_STR("Runs");
    coati_buffer text = {NULL, 0};

    IS(COATI_OK, coati_counter_new(engine, name, unit, what, &label, 1, &counter));
    IS(COATI_OK, coati_counter_new(engine, name, NOTHING, NOTHING, &label, 1, &same));
    coati_counter_free(same);
    IS(COATI_BAD_ARGUMENT, coati_counter_new(engine, name, unit, what, NULL, 1, &same));
    CHECK(same == NULL);
    IS(COATI_BAD_ARGUMENT, coati_counter_new(engine, name, unit, what, NULL, 0, NULL));
    IS(COATI_BAD_ARGUMENT, coati_counter_new(engine, NOTHING, unit, what, NULL, 0, &same));
    IS(COATI_BAD_ARGUMENT, coati_counter_new(engine, NOT_UTF8, unit, what, NULL, 0, &same));
    IS(COATI_BAD_ARGUMENT, coati_counter_new(engine, NOT_THERE, unit, what, NULL, 0, &same));
    IS(COATI_BAD_ARGUMENT, coati_counter_new(engine, name, NOT_THERE, what, NULL, 0, &same));
    IS(COATI_BAD_ARGUMENT, coati_counter_new(engine, name, unit, NOT_THERE, NULL, 0, &same));
    IS(COATI_BAD_ARGUMENT, coati_counter_new(engine, name, unit, what, &label, SIZE_MAX, &same));
    wrong.type = 99;
    IS(COATI_BAD_ARGUMENT, coati_counter_new(engine, name, unit, what, &wrong, 1, &same));
    IS(COATI_BAD_ARGUMENT, coati_gauge_new(engine, name, unit, what, NULL, 0, &gauge));
    IS(COATI_OK, coati_last_error(&text));
    CHECK(strstr(text.ptr, "runs") != NULL);
    coati_buffer_free(&text);

    IS(COATI_OK, coati_counter_add(counter, 2));
    IS(COATI_OK, coati_counter_add(counter, 0));
    IS(COATI_OK, coati_counter_add(counter, 0.5));
    double refused[] = {-1, -0.5, NAN, INFINITY, -INFINITY};
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        IS(COATI_BAD_ARGUMENT, coati_counter_add(counter, refused[i]));
    }

    coati_field labels[] = {coati_i64("i", -1), coati_u64("u", UINT64_MAX), coati_f64("f", NAN),
                            coati_bool("b", true), coati_text("s", "\xff")};
    IS(COATI_OK, coati_up_down_counter_new(engine, COATI_STR("level"), NOTHING, NOTHING, labels, 5,
                                           &up_down));
    IS(COATI_OK, coati_up_down_counter_add(up_down, 5));
    IS(COATI_OK, coati_up_down_counter_add(up_down, -7));
    IS(COATI_BAD_ARGUMENT, coati_up_down_counter_add(up_down, NAN));
    IS(COATI_BAD_ARGUMENT, coati_up_down_counter_add(up_down, INFINITY));

    IS(COATI_OK, coati_gauge_new(engine, COATI_STR("depth"), NOTHING, NOTHING, NULL, 0, &gauge));
    double any[] = {0, -1.5, NAN, INFINITY, 3.25};
    for (size_t i = 0; i < sizeof any / sizeof *any; i++) {
        IS(COATI_OK, coati_gauge_set(gauge, any[i]));
    }

    coati_str times = COATI_STR("times"), ms = COATI_STR("ms");
    double bounds[] = {1, 2, 5}, unordered[] = {1, 5, 2}, equal[] = {1, 1}, nan_bounds[] = {1, NAN};
    IS(COATI_OK, coati_histogram_new(engine, times, ms, what, &label, 1, NULL, 0, &histogram));
    IS(COATI_BAD_ARGUMENT,
       coati_histogram_new(engine, times, ms, what, &label, 1, bounds, 3, &explicit_one));
    coati_str sizes = COATI_STR("sizes");
    IS(COATI_BAD_ARGUMENT,
       coati_histogram_new(engine, sizes, NOTHING, what, NULL, 0, unordered, 3, &explicit_one));
    IS(COATI_BAD_ARGUMENT,
       coati_histogram_new(engine, sizes, NOTHING, what, NULL, 0, equal, 2, &explicit_one));
    IS(COATI_BAD_ARGUMENT,
       coati_histogram_new(engine, sizes, NOTHING, what, NULL, 0, nan_bounds, 2, &explicit_one));
    IS(COATI_BAD_ARGUMENT,
       coati_histogram_new(engine, sizes, NOTHING, what, NULL, 0, NULL, 2, &explicit_one));
    IS(COATI_BAD_ARGUMENT,
       coati_histogram_new(engine, sizes, NOTHING, what, NULL, 0, bounds, SIZE_MAX, &explicit_one));
    IS(COATI_OK, coati_histogram_new(engine, sizes, NOTHING, what, NULL, 0, bounds, 3, &explicit_one));
    double values[] = {0.5, 1, 4, 1e300, -1, 0};
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        IS(COATI_OK, coati_histogram_record(histogram, values[i]));
        IS(COATI_OK, coati_histogram_record(explicit_one, values[i]));
    }
    IS(COATI_BAD_ARGUMENT, coati_histogram_record(histogram, NAN));
    IS(COATI_BAD_ARGUMENT, coati_histogram_record(explicit_one, INFINITY));

    IS(COATI_BAD_ARGUMENT, coati_prometheus_text(engine, NULL));
    IS(COATI_OK, coati_prometheus_text(engine, &text));
    CHECK(strstr(text.ptr, "runs_total{agent=\"a1\"} 2.5\n") != NULL);
    CHECK(strstr(text.ptr, "depth 3.25\n") != NULL);
    CHECK(strstr(text.ptr, "b=\"true\"") != NULL && strstr(text.ptr, "} -2\n") != NULL);
    CHECK(strstr(text.ptr, "sizes_bucket{le=\"1\"} 4\n") != NULL ||
          strstr(text.ptr, "sizes_bucket{le=\"1.0\"} 4\n") != NULL);
    CHECK(strstr(text.ptr, "times_milliseconds_count{agent=\"a1\"} 6\n") != NULL);
    coati_buffer_free(&text);
    IS(COATI_BAD_ARGUMENT, coati_health_json(engine, NULL));
    IS(COATI_OK, coati_health_json(engine, &text));
    CHECK(strstr(text.ptr, "\"ok\":true") != NULL && strstr(text.ptr, "\"ignored\":9") != NULL);
    coati_buffer_free(&text);

    coati_counter_free(counter);
    coati_up_down_counter_free(up_down);
    coati_gauge_free(gauge);
    coati_histogram_free(histogram);
    coati_histogram_free(explicit_one);
}

static void after_shutdown(coati_engine *engine) {
    coati_logger *logger = NULL;
    coati_tracer *tracer = NULL;
    coati_span *open = NULL, *late = NULL;
    coati_counter *counter = NULL;
    coati_up_down_counter *up_down = NULL;
    coati_gauge *gauge = NULL;
    coati_histogram *histogram = NULL;
    coati_str s = COATI_STR("after");
    coati_field field = coati_i64("k", 1);
    coati_ledger before, after;
    IS(COATI_OK, coati_logger_new(engine, s, &logger));
    IS(COATI_OK, coati_tracer_new(engine, s, &tracer));
    IS(COATI_OK, coati_span_start(tracer, s, NULL, &open));
    IS(COATI_OK, coati_counter_new(engine, COATI_STR("c"), s, s, NULL, 0, &counter));
    IS(COATI_OK, coati_up_down_counter_new(engine, COATI_STR("u"), s, s, NULL, 0, &up_down));
    IS(COATI_OK, coati_gauge_new(engine, COATI_STR("g"), s, s, NULL, 0, &gauge));
    IS(COATI_OK, coati_histogram_new(engine, COATI_STR("h"), s, s, NULL, 0, NULL, 0, &histogram));

    IS(COATI_BAD_ARGUMENT, coati_get_ledger(engine, COATI_LOGS, NULL));
    IS(COATI_BAD_ARGUMENT, coati_get_ledger(engine, 2, &before));
    IS(COATI_BAD_ARGUMENT, coati_get_ledger(engine, UINT32_MAX, &before));
    IS(COATI_OK, coati_shutdown(engine, UINT64_MAX));
    IS(COATI_OK, coati_shutdown(engine, 0));
    IS(COATI_OK, coati_get_ledger(engine, COATI_LOGS, &before));
    CHECK(before.recorded == before.delivered + before.dropped && before.in_flight == 0);
    CHECK(before.recorded > 0 && before.dropped == 0);

    CHECK(!coati_logger_enabled(logger, COATI_CRITICAL));
    IS(COATI_STOPPED, coati_log(logger, COATI_CRITICAL, s, &field, 1));
    IS(COATI_STOPPED, coati_log(logger, COATI_DEBUG, s, &field, 1));
    IS(COATI_STOPPED, coati_span_start(tracer, s, NULL, &late));
    CHECK(late == NULL);
    IS(COATI_STOPPED, coati_span_set_attribute(open, &field));
    IS(COATI_STOPPED, coati_span_add_event(open, s, &field, 1));
    IS(COATI_STOPPED, coati_span_set_status(open, COATI_SPAN_OK, s));
    IS(COATI_STOPPED, coati_span_end(open));
    IS(COATI_ALREADY_ENDED, coati_span_end(open));
    IS(COATI_STOPPED, coati_counter_add(counter, 1));
    IS(COATI_STOPPED, coati_counter_add(counter, 1.5));
    IS(COATI_STOPPED, coati_up_down_counter_add(up_down, -1));
    IS(COATI_STOPPED, coati_gauge_set(gauge, 1));
    IS(COATI_STOPPED, coati_histogram_record(histogram, 1));
    IS(COATI_STOPPED, coati_flush(engine, 1000));

    IS(COATI_OK, coati_get_ledger(engine, COATI_LOGS, &after));
    CHECK(memcmp(&before, &after, sizeof before) == 0);
    coati_logger *another = NULL;
    IS(COATI_OK, coati_logger_new(engine, s, &another));
    IS(COATI_STOPPED, coati_log(another, COATI_CRITICAL, s, NULL, 0));
    coati_logger_free(another);

    coati_engine_free(engine);
    IS(COATI_STOPPED, coati_log(logger, COATI_CRITICAL, s, &field, 1));
    coati_histogram_free(histogram);
    coati_gauge_free(gauge);
    coati_up_down_counter_free(up_down);
    coati_counter_free(counter);
    coati_span_free(open);
    coati_tracer_free(tracer);
    coati_logger_free(logger);
}

int main(int argc, char **argv) {
    (void)argc;
    for (int status = -5; status < 20; status++) {
        CHECK(strlen(coati_status_str(status)) > 0);
    }
    CHECK(coati_status_str(INT32_MIN) == coati_status_str(INT32_MAX));
    CHECK(coati_abi_version() == COATI_ABI_VERSION);
    CHECK(strchr(coati_version(), '.') != NULL);
    null_handles();
    configuration();
    const char *path = in_directory(argv, "api.jsonl");
    coati_engine *engine = start(path, "\"logs\": {\"level\": \"info\"},");
    logs(engine, path);
    spans(engine, path);
    propagation(engine, path);
    metrics(engine);
    after_shutdown(engine);
    return 0;
}
