/* coati: logs, spans and metrics of a program, recorded in its own process.
 *
 * Generated from the crate coati-capi; do not edit.
 *
 * For every function here:
 * - It may be called on any thread. A handle may be used by several threads at once.
 * - A NULL handle is COATI_NULL_HANDLE, never a crash. Freeing NULL does nothing.
 * - Handles may be freed in any order, each once, and not used after that. What was made from an
 *   engine keeps it alive.
 * - Texts and fields are borrowed for the call. NULL with a length above 0 is COATI_BAD_ARGUMENT.
 * - Out-parameters come last. Where a function fails, a handle is set to NULL, a buffer to empty and
 *   other results to zero. A NULL out-parameter is COATI_BAD_ARGUMENT.
 * - After coati_shutdown whatever would record does nothing and says COATI_STOPPED. An engine
 *   configured with `"enabled": false` records nothing and says COATI_OK.
 * - Nothing is thrown, and nothing of the caller's is called.
 */

#ifndef COATI_H
#define COATI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#ifdef __cplusplus
#define COATI_STR(literal) (coati_str{"" literal, sizeof(literal) - 1})
#else
/* A string literal as a coati_str. */
#define COATI_STR(literal) ((coati_str){"" literal, sizeof(literal) - 1})
#endif

// The version of this header. coati_abi_version returns that of the library; it grows when
// something is added and a library with a smaller one lacks something.
#define COATI_ABI_VERSION 2

// The value is in `value.i64`.
#define COATI_FIELD_I64 1

// The value is in `value.u64`.
#define COATI_FIELD_U64 2

// The value is in `value.f64`; NaN and infinities are kept.
#define COATI_FIELD_F64 3

// The value is in `value.boolean`.
#define COATI_FIELD_BOOL 4

// The value is in `value.str`.
#define COATI_FIELD_STR 5

// The signal of log lines.
#define COATI_LOGS 0

// The signal of spans.
#define COATI_SPANS 1

// Nobody said how it went.
#define COATI_SPAN_UNSET 0

// Well, and somebody said so: final.
#define COATI_SPAN_OK 1

// Badly.
#define COATI_SPAN_ERROR 2

// Everything that crosses processes: a span's ids and flags, its `tracestate`, and baggage. Made by
// coati_context_parse or coati_context_of_span.
typedef struct coati_context coati_context;

// A sum that only grows, with fixed labels.
typedef struct coati_counter coati_counter;

// An engine: rings, metrics, a thread that writes. Made by coati_init. Loggers, tracers, spans
// and instruments made from it keep it alive; when the last handle is freed it is flushed and
// shut down.
typedef struct coati_engine coati_engine;

// A value that is set, with fixed labels.
typedef struct coati_gauge coati_gauge;

// A distribution, with fixed labels.
typedef struct coati_histogram coati_histogram;

// A named source of log lines.
typedef struct coati_logger coati_logger;

// A span that is current on the thread that attached it. coati_scope_detach ends that and frees
// the scope.
typedef struct coati_scope coati_scope;

// A started span. Several threads may use it; it is recorded when it ends.
typedef struct coati_span coati_span;

// A named source of spans.
typedef struct coati_tracer coati_tracer;

// A sum that goes up and down, with fixed labels.
typedef struct coati_up_down_counter coati_up_down_counter;

// A result; 0 is success. Values are never renumbered.
typedef int32_t coati_status;

// Text by pointer and length. It needs no NUL at its end and is borrowed for the call only. NULL
// with length 0 is the empty text; invalid UTF-8 is replaced by U+FFFD.
typedef struct coati_str {
    // The first byte.
    const char *ptr;
    // Number of bytes.
    size_t len;
} coati_str;

// The books of one signal. When producers have stopped and a flush has returned COATI_OK,
// `recorded == delivered + dropped`.
typedef struct coati_ledger {
    // Calls that passed level and sampling.
    uint64_t recorded;
    // Records that reached every sink that wanted them.
    uint64_t delivered;
    // Records lost; coati_health_json says why.
    uint64_t dropped;
    // Records in a ring or a batch.
    uint64_t in_flight;
} coati_ledger;

// Memory that the library gives away; give it back with coati_buffer_free. A NUL that `len` does
// not count stands at its end.
typedef struct coati_buffer {
    // The first byte; NULL in an empty buffer.
    char *ptr;
    // Number of bytes.
    size_t len;
} coati_buffer;

// Severity of a log line: COATI_DEBUG to COATI_CRITICAL. Any other value is COATI_BAD_ARGUMENT.
typedef uint8_t coati_level;

// A field's value; `coati_field.type` says which member counts.
typedef union coati_value {
    // COATI_FIELD_I64
    int64_t i64;
    // COATI_FIELD_U64
    uint64_t u64;
    // COATI_FIELD_F64
    double f64;
    // COATI_FIELD_BOOL
    bool boolean;
    // COATI_FIELD_STR
    struct coati_str str;
} coati_value;

// A key and its value: a field of a log line, an attribute of a span, a label of a metric. Of
// equal keys in one call the last counts.
typedef struct coati_field {
    // The name.
    struct coati_str key;
    // COATI_FIELD_I64 to COATI_FIELD_STR. Any other value is COATI_BAD_ARGUMENT.
    uint32_t type;
    // The value.
    union coati_value value;
} coati_field;

// What of a span crosses threads and processes. All zero: no span.
typedef struct coati_span_context {
    // The trace.
    uint8_t trace_id[16];
    // The span.
    uint8_t span_id[8];
    // W3C trace flags; bit 0: sampled.
    uint8_t flags;
    // 1 if it came from another process, else 0.
    uint8_t remote;
} coati_span_context;

// Done.
#define COATI_OK 0

// A handle was NULL; nothing was done.
#define COATI_NULL_HANDLE 1

// An argument is not what it has to be; nothing was done.
#define COATI_BAD_ARGUMENT 2

// The configuration is refused; coati_last_error says why.
#define COATI_BAD_CONFIG 3

// Not finished in time; what was begun goes on.
#define COATI_TIMEOUT 4

// The engine has been shut down; nothing was recorded.
#define COATI_STOPPED 5

// The span had been ended before; nothing was done.
#define COATI_ALREADY_ENDED 6

// The operating system refused; coati_last_error says why.
#define COATI_IO 7

// A defect of the library itself; the call may have been done in part.
#define COATI_PANIC 8

// Details for a developer.
#define COATI_DEBUG 0

// Normal events.
#define COATI_INFO 1

// Something is off.
#define COATI_WARN 2

// Something failed.
#define COATI_ERROR 3

// The program is in danger.
#define COATI_CRITICAL 4

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

// The version of the binary interface.
uint32_t coati_abi_version(void);

// The version of the library, such as `0.1.0`; static.
const char *coati_version(void);

// A status in words, for any number; static, never NULL.
const char *coati_status_str(coati_status status);

// Starts an engine with a configuration as JSON: the sections and keys of the documentation,
// beside them `preset` and `config_file`. An empty text means the defaults; the environment
// (COATI_*, OTEL_*) counts below it. Each call makes an engine of its own.
coati_status coati_init(struct coati_str config_json, struct coati_engine **out);

// Frees the handle. Its children go on; without any the engine is flushed and shut down.
void coati_engine_free(struct coati_engine *engine);

// Waits until everything that any thread recorded before the call is in its sinks.
// COATI_TIMEOUT: not in time.
coati_status coati_flush(struct coati_engine *engine, uint64_t timeout_ms);

// Flushes and stops; later calls record nothing. Once more is no error. COATI_TIMEOUT: stopped,
// but not everything is in its sinks.
coati_status coati_shutdown(struct coati_engine *engine, uint64_t timeout_ms);

// The books of COATI_LOGS or COATI_SPANS, also after a shutdown.
coati_status coati_get_ledger(struct coati_engine *engine,
                              uint32_t signal,
                              struct coati_ledger *out);

// How the engine is, as JSON: `ok`, `problems`, `sinks`, `uptime_s`, `memory_bytes` and more.
coati_status coati_health_json(struct coati_engine *engine, struct coati_buffer *out);

// All metrics in the Prometheus text format.
coati_status coati_prometheus_text(struct coati_engine *engine, struct coati_buffer *out);

// The logger called `name`. Cheap, but meant to be kept.
coati_status coati_logger_new(struct coati_engine *engine,
                              struct coati_str name,
                              struct coati_logger **out);

// Frees the handle.
void coati_logger_free(struct coati_logger *logger);

// Whether lines of this level are recorded now.
bool coati_logger_enabled(const struct coati_logger *logger, coati_level level);

// Records a log line with `n` fields, with the ids of the thread's current span. COATI_OK also
// where the level is not recorded.
coati_status coati_log(const struct coati_logger *logger,
                       coati_level level,
                       struct coati_str message,
                       const struct coati_field *fields,
                       size_t n);

// The tracer called `name`. Cheap, but meant to be kept.
coati_status coati_tracer_new(struct coati_engine *engine,
                              struct coati_str name,
                              struct coati_tracer **out);

// Frees the handle.
void coati_tracer_free(struct coati_tracer *tracer);

// Starts a span. `parent` NULL: a child of the thread's current span, without one a root; a
// `parent` that is all zero: a root.
coati_status coati_span_start(const struct coati_tracer *tracer,
                              struct coati_str name,
                              const struct coati_span_context *parent,
                              struct coati_span **out);

// Starts a span under what a context says, whose `tracestate` and baggage it takes over. A context
// without a span: a root.
coati_status coati_span_start_in(const struct coati_tracer *tracer,
                                 struct coati_str name,
                                 const struct coati_context *parent,
                                 struct coati_span **out);

// Sets an attribute; one with the same key is replaced.
coati_status coati_span_set_attribute(struct coati_span *span, const struct coati_field *attribute);

// Adds an event that happens now.
coati_status coati_span_add_event(struct coati_span *span,
                                  struct coati_str name,
                                  const struct coati_field *fields,
                                  size_t n);

// Sets how it went: COATI_SPAN_UNSET changes nothing, COATI_SPAN_OK is final, and of a
// COATI_SPAN_ERROR the description is kept. Any other status is COATI_BAD_ARGUMENT.
coati_status coati_span_set_status(struct coati_span *span,
                                   uint32_t status,
                                   struct coati_str description);

// The span's ids and flags, also after its end.
coati_status coati_span_get_context(const struct coati_span *span, struct coati_span_context *out);

// Ends the span and records it. A second time: COATI_ALREADY_ENDED.
coati_status coati_span_end(struct coati_span *span);

// Ends the span unless it has ended, and frees the handle.
void coati_span_free(struct coati_span *span);

// Makes a span current on this thread: log lines carry its ids and spans started without a
// parent become its children. The span may end or be freed before its scope is detached.
coati_status coati_span_attach(struct coati_span *span, struct coati_scope **out);

// Ends that the scope's span is current and frees the scope. Scopes may be detached in any order
// and on any thread.
coati_status coati_scope_detach(struct coati_scope *scope);

// Reads a W3C `traceparent`. The result has no place for a `tracestate`, which is accepted for
// programs that have one: coati_context_parse keeps it. COATI_BAD_ARGUMENT: not a traceparent.
coati_status coati_context_extract(struct coati_str traceparent,
                                   struct coati_str tracestate,
                                   struct coati_span_context *out);

// Writes a W3C `traceparent`. COATI_BAD_ARGUMENT: no context, or one without ids.
coati_status coati_context_inject(const struct coati_span_context *context,
                                  struct coati_buffer *traceparent);

// Reads W3C's three headers, each empty where it is absent; several of one name are joined by
// commas. What is malformed says nothing: without a good `traceparent` there is no span.
coati_status coati_context_parse(struct coati_str traceparent,
                                 struct coati_str tracestate,
                                 struct coati_str baggage,
                                 struct coati_context **out);

// The context of a span, also after its end.
coati_status coati_context_of_span(const struct coati_span *span, struct coati_context **out);

// Frees the handle.
void coati_context_free(struct coati_context *context);

// The ids and flags of its span; all zero where it has none.
coati_status coati_context_get_span(const struct coati_context *context,
                                    struct coati_span_context *out);

// Its W3C `traceparent`, empty where it has no span.
coati_status coati_context_traceparent(const struct coati_context *context,
                                       struct coati_buffer *out);

// Its W3C `tracestate` as it is passed on, empty where there is none.
coati_status coati_context_tracestate(const struct coati_context *context,
                                      struct coati_buffer *out);

// Its W3C `baggage` header, empty where there is none.
coati_status coati_context_baggage(const struct coati_context *context, struct coati_buffer *out);

// Sets a member of its `tracestate`, which then is the first one. COATI_BAD_ARGUMENT: not what W3C
// allows.
coati_status coati_context_set_tracestate(struct coati_context *context,
                                          struct coati_str key,
                                          struct coati_str value);

// The value of a name of its baggage. COATI_BAD_ARGUMENT: there is no such name.
coati_status coati_context_get_baggage(const struct coati_context *context,
                                       struct coati_str name,
                                       struct coati_buffer *out);

// Sets a name of its baggage to any text. COATI_BAD_ARGUMENT: the name is no token of HTTP.
coati_status coati_context_set_baggage(struct coati_context *context,
                                       struct coati_str name,
                                       struct coati_str value);

// Removes a name of its baggage. COATI_BAD_ARGUMENT: there is no such name.
coati_status coati_context_remove_baggage(struct coati_context *context, struct coati_str name);

// The counter called `name` with `n` labels. COATI_BAD_ARGUMENT: not a metric's name, or the
// name of another instrument; coati_last_error says which.
coati_status coati_counter_new(struct coati_engine *engine,
                               struct coati_str name,
                               struct coati_str unit,
                               struct coati_str description,
                               const struct coati_field *labels,
                               size_t n,
                               struct coati_counter **out);

// Frees the handle.
void coati_counter_free(struct coati_counter *counter);

// Adds to the counter. Negative or not finite: COATI_BAD_ARGUMENT, nothing is added.
coati_status coati_counter_add(const struct coati_counter *counter, double amount);

// The up-down counter called `name`; as coati_counter_new.
coati_status coati_up_down_counter_new(struct coati_engine *engine,
                                       struct coati_str name,
                                       struct coati_str unit,
                                       struct coati_str description,
                                       const struct coati_field *labels,
                                       size_t n,
                                       struct coati_up_down_counter **out);

// Frees the handle.
void coati_up_down_counter_free(struct coati_up_down_counter *counter);

// Adds to the up-down counter. Not finite: COATI_BAD_ARGUMENT, nothing is added.
coati_status coati_up_down_counter_add(const struct coati_up_down_counter *counter, double amount);

// The gauge called `name`; as coati_counter_new.
coati_status coati_gauge_new(struct coati_engine *engine,
                             struct coati_str name,
                             struct coati_str unit,
                             struct coati_str description,
                             const struct coati_field *labels,
                             size_t n,
                             struct coati_gauge **out);

// Frees the handle.
void coati_gauge_free(struct coati_gauge *gauge);

// Sets the gauge; any value is one.
coati_status coati_gauge_set(const struct coati_gauge *gauge, double value);

// The histogram called `name`; as coati_counter_new. `bounds` are the buckets' upper bounds;
// NULL and 0: exponential buckets, whose quantiles are within 0.6 %. COATI_BAD_ARGUMENT also for
// bounds that do not ascend or are not finite.
coati_status coati_histogram_new(struct coati_engine *engine,
                                 struct coati_str name,
                                 struct coati_str unit,
                                 struct coati_str description,
                                 const struct coati_field *labels,
                                 size_t n,
                                 const double *bounds,
                                 size_t n_bounds,
                                 struct coati_histogram **out);

// Frees the handle.
void coati_histogram_free(struct coati_histogram *histogram);

// Records a value. Not finite: COATI_BAD_ARGUMENT, no bucket counts it.
coati_status coati_histogram_record(const struct coati_histogram *histogram, double value);

// Gives a buffer's memory back and empties it. NULL and an empty buffer are nothing to do.
void coati_buffer_free(struct coati_buffer *buffer);

// Why the last coati_init, coati_counter_new, coati_up_down_counter_new, coati_gauge_new or
// coati_histogram_new that failed on this thread did; empty if none has.
coati_status coati_last_error(struct coati_buffer *out);

#if defined(COATI_TEST_PANIC)
// Makes this thread's next call of a coati function panic inside. Only in a build with the
// feature `test-panic`.
void coati_test_panic_next(void);
#endif

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

/* A text that ends with NUL as a coati_str; NULL is the empty text. */
static inline coati_str coati_string(const char *text) {
    coati_str str;
    str.ptr = text;
    str.len = text ? strlen(text) : 0;
    return str;
}

/* Fields whose keys, and texts, end with NUL. */
static inline coati_field coati_i64(const char *key, int64_t value) {
    coati_field field;
    field.key = coati_string(key);
    field.type = COATI_FIELD_I64;
    field.value.i64 = value;
    return field;
}

static inline coati_field coati_u64(const char *key, uint64_t value) {
    coati_field field;
    field.key = coati_string(key);
    field.type = COATI_FIELD_U64;
    field.value.u64 = value;
    return field;
}

static inline coati_field coati_f64(const char *key, double value) {
    coati_field field;
    field.key = coati_string(key);
    field.type = COATI_FIELD_F64;
    field.value.f64 = value;
    return field;
}

static inline coati_field coati_bool(const char *key, bool value) {
    coati_field field;
    field.key = coati_string(key);
    field.type = COATI_FIELD_BOOL;
    field.value.boolean = value;
    return field;
}

static inline coati_field coati_text(const char *key, const char *value) {
    coati_field field;
    field.key = coati_string(key);
    field.type = COATI_FIELD_STR;
    field.value.str = coati_string(value);
    return field;
}

#endif /* COATI_H */
