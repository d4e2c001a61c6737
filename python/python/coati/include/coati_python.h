/* coati inside a Python process: an extension module records into the engine that runs there, and
 * under the Python span that is current.
 *
 *     #include <coati_python.h>          // in the place of coati.h; coati.hpp may follow
 *
 *     if (coati_python_import() < 0) return NULL;         // once in each C file, with the GIL
 *     coati_init((coati_str){0}, &engine);                // a handle of the engine of the process
 *     coati_logger_new(engine, COATI_STR("native"), &logger);
 *     coati_log(logger, COATI_INFO, COATI_STR("index built"), NULL, 0);
 *
 * All of coati.h holds, and these three besides:
 * - Python starts, configures and stops the engine. coati_init takes an empty configuration at any
 *   time, also before `coati.init`; another one is COATI_BAD_CONFIG. Before `coati.init` and after
 *   `coati.shutdown` a call that would record says COATI_STOPPED.
 * - A call with the GIL sees what is current in Python, and what it attaches is current there. A
 *   call without it sees what this thread has attached: hand a span's context to a thread of
 *   yours, or attach a span before you release the GIL.
 *   A scope attached with the GIL and detached without it is left when the main thread next takes
 *   the GIL.
 * - No call waits for the GIL. One that may wait for something else releases it meanwhile.
 *
 * Nothing is linked: `coati.get_include()` is the folder of the headers. */

#ifndef COATI_PYTHON_H
#define COATI_PYTHON_H

#ifndef PY_SSIZE_T_CLEAN
#define PY_SSIZE_T_CLEAN
#endif
#include <Python.h>

#include "coati.h"

#define COATI_PYTHON_CAPSULE "coati._native._C_API"

/* What the capsule has, in its order. More may come at the end, and COATI_ABI_VERSION with it. */
#define COATI_PYTHON_FUNCTIONS(FUNCTION)                                                           \
    FUNCTION(abi_version)                                                                          \
    FUNCTION(version)                                                                              \
    FUNCTION(status_str)                                                                           \
    FUNCTION(init)                                                                                 \
    FUNCTION(engine_free)                                                                          \
    FUNCTION(flush)                                                                                \
    FUNCTION(shutdown)                                                                             \
    FUNCTION(get_ledger)                                                                           \
    FUNCTION(health_json)                                                                          \
    FUNCTION(prometheus_text)                                                                      \
    FUNCTION(logger_new)                                                                           \
    FUNCTION(logger_free)                                                                          \
    FUNCTION(logger_enabled)                                                                       \
    FUNCTION(log)                                                                                  \
    FUNCTION(tracer_new)                                                                           \
    FUNCTION(tracer_free)                                                                          \
    FUNCTION(span_start)                                                                           \
    FUNCTION(span_set_attribute)                                                                   \
    FUNCTION(span_add_event)                                                                       \
    FUNCTION(span_set_status)                                                                      \
    FUNCTION(span_get_context)                                                                     \
    FUNCTION(span_end)                                                                             \
    FUNCTION(span_free)                                                                            \
    FUNCTION(span_attach)                                                                          \
    FUNCTION(scope_detach)                                                                         \
    FUNCTION(context_extract)                                                                      \
    FUNCTION(context_inject)                                                                       \
    FUNCTION(counter_new)                                                                          \
    FUNCTION(counter_free)                                                                         \
    FUNCTION(counter_add)                                                                          \
    FUNCTION(up_down_counter_new)                                                                  \
    FUNCTION(up_down_counter_free)                                                                 \
    FUNCTION(up_down_counter_add)                                                                  \
    FUNCTION(gauge_new)                                                                            \
    FUNCTION(gauge_free)                                                                           \
    FUNCTION(gauge_set)                                                                            \
    FUNCTION(histogram_new)                                                                        \
    FUNCTION(histogram_free)                                                                       \
    FUNCTION(histogram_record)                                                                     \
    FUNCTION(buffer_free)                                                                          \
    FUNCTION(last_error)                                                                           \
    FUNCTION(context_parse)                                                                        \
    FUNCTION(context_of_span)                                                                      \
    FUNCTION(context_free)                                                                         \
    FUNCTION(context_get_span)                                                                     \
    FUNCTION(context_traceparent)                                                                  \
    FUNCTION(context_tracestate)                                                                   \
    FUNCTION(context_baggage)                                                                      \
    FUNCTION(context_set_tracestate)                                                               \
    FUNCTION(context_get_baggage)                                                                  \
    FUNCTION(context_set_baggage)                                                                  \
    FUNCTION(context_remove_baggage)                                                               \
    FUNCTION(span_start_in)

/* The functions of coati.h, with their types. */
typedef struct coati_python_api {
    uint32_t abi_version_of_table;
#ifdef __cplusplus
#define COATI_PYTHON_FUNCTION(name) decltype(&::coati_##name) name;
#else
#define COATI_PYTHON_FUNCTION(name) __typeof__(&coati_##name) name;
#endif
    COATI_PYTHON_FUNCTIONS(COATI_PYTHON_FUNCTION)
#undef COATI_PYTHON_FUNCTION
} coati_python_api;

/* The table; NULL until coati_python_import has succeeded. Each source file in C has its own, all
 * files in C++ share one. */
#ifdef __cplusplus
inline const coati_python_api *coati_python = nullptr;
#else
static const coati_python_api *coati_python;
#endif

/* Imports the table; -1 with an exception set where there is none, or an older one. */
static inline int coati_python_import(void) {
    const coati_python_api *api =
        (const coati_python_api *)PyCapsule_Import(COATI_PYTHON_CAPSULE, 0);
    if (api == NULL) return -1;
    if (api->abi_version_of_table < COATI_ABI_VERSION) {
        PyErr_Format(PyExc_ImportError, "coati has version %u of its C interface; %u is needed",
                     (unsigned)api->abi_version_of_table, (unsigned)COATI_ABI_VERSION);
        return -1;
    }
    coati_python = api;
    return 0;
}

/* The functions go by their own names. */
#define coati_abi_version (coati_python->abi_version)
#define coati_version (coati_python->version)
#define coati_status_str (coati_python->status_str)
#define coati_init (coati_python->init)
#define coati_engine_free (coati_python->engine_free)
#define coati_flush (coati_python->flush)
#define coati_shutdown (coati_python->shutdown)
#define coati_get_ledger (coati_python->get_ledger)
#define coati_health_json (coati_python->health_json)
#define coati_prometheus_text (coati_python->prometheus_text)
#define coati_logger_new (coati_python->logger_new)
#define coati_logger_free (coati_python->logger_free)
#define coati_logger_enabled (coati_python->logger_enabled)
#define coati_log (coati_python->log)
#define coati_tracer_new (coati_python->tracer_new)
#define coati_tracer_free (coati_python->tracer_free)
#define coati_span_start (coati_python->span_start)
#define coati_span_set_attribute (coati_python->span_set_attribute)
#define coati_span_add_event (coati_python->span_add_event)
#define coati_span_set_status (coati_python->span_set_status)
#define coati_span_get_context (coati_python->span_get_context)
#define coati_span_end (coati_python->span_end)
#define coati_span_free (coati_python->span_free)
#define coati_span_attach (coati_python->span_attach)
#define coati_scope_detach (coati_python->scope_detach)
#define coati_context_extract (coati_python->context_extract)
#define coati_context_inject (coati_python->context_inject)
#define coati_counter_new (coati_python->counter_new)
#define coati_counter_free (coati_python->counter_free)
#define coati_counter_add (coati_python->counter_add)
#define coati_up_down_counter_new (coati_python->up_down_counter_new)
#define coati_up_down_counter_free (coati_python->up_down_counter_free)
#define coati_up_down_counter_add (coati_python->up_down_counter_add)
#define coati_gauge_new (coati_python->gauge_new)
#define coati_gauge_free (coati_python->gauge_free)
#define coati_gauge_set (coati_python->gauge_set)
#define coati_histogram_new (coati_python->histogram_new)
#define coati_histogram_free (coati_python->histogram_free)
#define coati_histogram_record (coati_python->histogram_record)
#define coati_buffer_free (coati_python->buffer_free)
#define coati_last_error (coati_python->last_error)
#define coati_context_parse (coati_python->context_parse)
#define coati_context_of_span (coati_python->context_of_span)
#define coati_context_free (coati_python->context_free)
#define coati_context_get_span (coati_python->context_get_span)
#define coati_context_traceparent (coati_python->context_traceparent)
#define coati_context_tracestate (coati_python->context_tracestate)
#define coati_context_baggage (coati_python->context_baggage)
#define coati_context_set_tracestate (coati_python->context_set_tracestate)
#define coati_context_get_baggage (coati_python->context_get_baggage)
#define coati_context_set_baggage (coati_python->context_set_baggage)
#define coati_context_remove_baggage (coati_python->context_remove_baggage)
#define coati_span_start_in (coati_python->span_start_in)

#endif /* COATI_PYTHON_H */
