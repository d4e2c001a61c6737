/* An extension module that records into the engine of the Python process it is in. */

#include <coati_python.h>

#include <pthread.h>
#include <string.h>
#include <unistd.h>

static coati_engine *engine;
static coati_logger *logger;
static coati_tracer *tracer;
static coati_counter *counter;
static coati_histogram *histogram;

static PyObject *status(coati_status status) { return PyUnicode_FromString(coati_status_str(status)); }

static PyObject *log_line(PyObject *self, PyObject *message) {
    const char *text = PyUnicode_AsUTF8(message);
    coati_field fields[] = {coati_i64("answer", 42), coati_text("from", "C")};
    (void)self;
    return text ? status(coati_log(logger, COATI_INFO, coati_string(text), fields, 2)) : NULL;
}

/* A span around a log line and, perhaps, a call of Python. */
static PyObject *work(PyObject *self, PyObject *args) {
    const char *name;
    PyObject *callback = NULL, *result = NULL;
    coati_span *span;
    coati_scope *scope;
    coati_field tokens = coati_i64("tokens", 12);
    (void)self;
    if (!PyArg_ParseTuple(args, "s|O", &name, &callback)) return NULL;
    if (coati_span_start(tracer, coati_string(name), NULL, &span) != COATI_OK) Py_RETURN_NONE;
    coati_span_attach(span, &scope);
    coati_span_set_attribute(span, &tokens);
    coati_log(logger, COATI_INFO, COATI_STR("inside"), NULL, 0);
    if (callback) result = PyObject_CallNoArgs(callback);
    if (callback && !result) coati_span_set_status(span, COATI_SPAN_ERROR, COATI_STR("callback"));
    Py_BEGIN_ALLOW_THREADS
    coati_log(logger, COATI_INFO, COATI_STR("without the GIL"), NULL, 0);
    Py_END_ALLOW_THREADS
    coati_scope_detach(scope);
    coati_span_end(span);
    coati_span_free(span);
    if (callback) return result;
    Py_RETURN_NONE;
}

/* A thread that has never heard of Python. */
typedef struct {
    coati_span_context parent;
    coati_status flushed;
} Job;

static void *run(void *argument) {
    Job *job = argument;
    coati_span *span;
    coati_scope *scope;
    coati_log(logger, COATI_WARN, COATI_STR("thread, outside"), NULL, 0);
    coati_span_start(tracer, COATI_STR("thread"), &job->parent, &span);
    coati_span_attach(span, &scope);
    coati_log(logger, COATI_WARN, COATI_STR("thread, inside"), NULL, 0);
    coati_counter_add(counter, 2);
    coati_scope_detach(scope);
    coati_span_free(span);
    job->flushed = coati_flush(engine, 60000);
    return NULL;
}

/* Joined while this thread holds the GIL: nothing there may wait for it. */
static PyObject *thread(PyObject *self, PyObject *unused) {
    Job job;
    pthread_t thread;
    coati_span *span;
    (void)self, (void)unused;
    coati_span_start(tracer, COATI_STR("starts a thread"), NULL, &span);
    coati_span_get_context(span, &job.parent);
    if (pthread_create(&thread, NULL, run, &job) != 0) return PyErr_SetFromErrno(PyExc_OSError);
    pthread_join(thread, NULL);
    coati_span_free(span);
    return status(job.flushed);
}

/* A scope attached here and detached by a thread without the GIL. */
static void *detach(void *scope) {
    coati_scope_detach(scope);
    return NULL;
}

static PyObject *detach_elsewhere(PyObject *self, PyObject *unused) {
    pthread_t thread;
    coati_span *span;
    coati_scope *scope;
    (void)self, (void)unused;
    coati_span_start(tracer, COATI_STR("left elsewhere"), NULL, &span);
    coati_span_attach(span, &scope);
    if (pthread_create(&thread, NULL, detach, scope) != 0) return PyErr_SetFromErrno(PyExc_OSError);
    pthread_join(thread, NULL);
    coati_span_free(span);
    Py_RETURN_NONE;
}

static PyObject *count(PyObject *self, PyObject *number) {
    double value = PyFloat_AsDouble(number);
    coati_status done;
    (void)self;
    if (PyErr_Occurred()) return NULL;
    done = coati_counter_add(counter, value);
    return status(done == COATI_OK ? coati_histogram_record(histogram, value) : done);
}

static PyObject *text_of(coati_buffer *buffer) {
    PyObject *text = PyUnicode_FromStringAndSize(buffer->ptr, (Py_ssize_t)buffer->len);
    coati_buffer_free(buffer);
    return text;
}

static PyObject *init_with(PyObject *self, PyObject *config) {
    const char *text = PyUnicode_AsUTF8(config);
    coati_engine *other;
    coati_buffer why;
    coati_status done;
    (void)self;
    if (!text) return NULL;
    done = coati_init(coati_string(text), &other);
    coati_engine_free(other);
    coati_last_error(&why);
    return Py_BuildValue("NN", status(done), text_of(&why));
}

static PyObject *told(PyObject *self, PyObject *unused) {
    coati_ledger books;
    coati_buffer health, metrics;
    (void)self, (void)unused;
    if (coati_get_ledger(engine, COATI_LOGS, &books) != COATI_OK) Py_RETURN_NONE;
    if (coati_health_json(engine, &health) != COATI_OK) Py_RETURN_NONE;
    if (coati_prometheus_text(engine, &metrics) != COATI_OK) Py_RETURN_NONE;
    return Py_BuildValue("KNN", (unsigned long long)books.recorded, text_of(&health),
                         text_of(&metrics));
}

static PyObject *stop(PyObject *self, PyObject *unused) {
    (void)self, (void)unused;
    return status(coati_shutdown(engine, 60000));
}

static PyMethodDef methods[] = {
    {"log", log_line, METH_O, NULL},
    {"work", work, METH_VARARGS, NULL},
    {"thread", thread, METH_NOARGS, NULL},
    {"detach_elsewhere", detach_elsewhere, METH_NOARGS, NULL},
    {"count", count, METH_O, NULL},
    {"init_with", init_with, METH_O, NULL},
    {"told", told, METH_NOARGS, NULL},
    {"shutdown", stop, METH_NOARGS, NULL},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, "extension", NULL, -1, methods,
                                    NULL, NULL, NULL, NULL};

PyMODINIT_FUNC PyInit_extension(void) {
    coati_field label = coati_text("part", "core");
    coati_str none = {NULL, 0};
    if (coati_python_import() < 0) return NULL;
    if (coati_abi_version() != COATI_ABI_VERSION || strlen(coati_version()) == 0) return NULL;
    if (coati_init(none, &engine) != COATI_OK) return NULL;
    coati_logger_new(engine, COATI_STR("native"), &logger);
    coati_tracer_new(engine, COATI_STR("native"), &tracer);
    coati_counter_new(engine, COATI_STR("native_calls"), none, none, &label, 1, &counter);
    coati_histogram_new(engine, COATI_STR("native_size"), none, none, &label, 1, NULL, 0, &histogram);
    return PyModule_Create(&module);
}
