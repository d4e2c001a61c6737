/* What the same calls cost at least from Python: a class whose methods take their arguments by the
 * vectorcall convention and do no more than has to be done. Compiled when the benchmark runs. */

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <structmember.h>
#include <stdint.h>
#include <stddef.h>
#include <string.h>
#include <x86intrin.h>

static uint64_t ring[1 << 16];
static size_t at;
static PyObject *variable, *key, *class_of_span;

static inline void put(uint64_t word) { ring[at++ & 0xffff] = word; }

static inline void put_text(PyObject *text) {
    Py_ssize_t size;
    const char *bytes = PyUnicode_AsUTF8AndSize(text, &size);
    size_t room = (size_t)size & 0xff;
    if (bytes == NULL) {
        PyErr_Clear();
        return;
    }
    at &= 0xffff;
    if (at + 40 > 0xffff) at = 0;
    put((uint64_t)size);
    memcpy(&ring[at], bytes, room);
    at += (room + 7) / 8;
}

static inline void put_value(PyObject *value) {
    if (PyUnicode_CheckExact(value)) {
        put_text(value);
    } else if (PyFloat_CheckExact(value)) {
        double number = PyFloat_AS_DOUBLE(value);
        uint64_t bits;
        memcpy(&bits, &number, 8);
        put(bits);
    } else if (PyBool_Check(value)) {
        put(value == Py_True);
    } else {
        int overflow;
        put((uint64_t)PyLong_AsLongLongAndOverflow(value, &overflow));
    }
}

static void put_call(PyObject *const *args, Py_ssize_t n, PyObject *names) {
    Py_ssize_t fields = names ? PyTuple_GET_SIZE(names) : 0;
    put(__rdtsc());
    put_text(args[0]);
    for (Py_ssize_t i = 0; i < fields; i++) {
        put((uint64_t)(uintptr_t)PyTuple_GET_ITEM(names, i));
        put_value(args[n + i]);
    }
}

static PyObject *empty(PyObject *self, PyObject *const *args, Py_ssize_t n, PyObject *names) {
    (void)self, (void)args, (void)n, (void)names;
    Py_RETURN_NONE;
}

static PyObject *copied(PyObject *self, PyObject *const *args, Py_ssize_t n, PyObject *names) {
    (void)self;
    put_call(args, n, names);
    Py_RETURN_NONE;
}

/* --- spans ---------------------------------------------------------------------------------- */

typedef struct {
    PyObject_HEAD
    vectorcallfunc call;
    PyObject *token;
} Span;

static PyObject *called(PyObject *self, PyObject *const *args, size_t n, PyObject *names);

static Span *new_span(void) {
    Span *made = PyObject_New(Span, (PyTypeObject *)class_of_span);
    if (made) {
        made->call = called;
        made->token = NULL;
    }
    return made;
}

static PyObject *shared;

static PyObject *span(PyObject *self, PyObject *const *args, Py_ssize_t n, PyObject *names) {
    Span *made = new_span();
    (void)self;
    put_call(args, n, names);
    return (PyObject *)made;
}

static PyObject *root(PyObject *self, PyObject *const *args, Py_ssize_t n, PyObject *names) {
    (void)self, (void)args, (void)n, (void)names;
    return (PyObject *)new_span();
}

static PyObject *same_span(PyObject *self, PyObject *const *args, Py_ssize_t n, PyObject *names) {
    (void)self, (void)args, (void)n, (void)names;
    return Py_NewRef(shared);
}

/* `__enter__` and `__exit__`: a `with` statement binds both. Bound to a span they are the span
 * itself, called without arguments and with three, so that nothing is made for it. */
static PyObject *called(PyObject *self, PyObject *const *args, size_t n, PyObject *names) {
    PyObject *token = ((Span *)self)->token;
    (void)args, (void)names;
    if (PyVectorcall_NARGS(n) == 0) {
        if (self != shared) ((Span *)self)->token = PyContextVar_Set(variable, self);
        return Py_NewRef(self);
    }
    if (token) {
        ((Span *)self)->token = NULL;
        PyContextVar_Reset(variable, token);
        Py_DECREF(token);
        put(__rdtsc());
    }
    Py_RETURN_NONE;
}

static void dealloc_span(PyObject *self) {
    PyTypeObject *class = Py_TYPE(self);
    Py_XDECREF(((Span *)self)->token);
    PyObject_Free(self);
    Py_DECREF(class);
}

static PyMemberDef span_members[] = {
    {"__vectorcalloffset__", T_PYSSIZET, offsetof(Span, call), READONLY, NULL},
    {NULL, 0, 0, 0, NULL},
};
static PyType_Slot span_slots[] = {
    {Py_tp_members, span_members}, {Py_tp_call, PyVectorcall_Call},
    {Py_tp_dealloc, dealloc_span}, {0, NULL}};
static PyType_Spec span_spec = {
    "floor.Span", sizeof(Span), 0, Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_VECTORCALL, span_slots};

static PyObject *bind(PyObject *method, PyObject *span, PyObject *class) {
    (void)class;
    return Py_NewRef(span ? span : method);
}

static PyType_Slot method_slots[] = {{Py_tp_descr_get, bind}, {0, NULL}};
static PyType_Spec method_spec = {"floor.method", sizeof(PyObject), 0, Py_TPFLAGS_DEFAULT,
                                  method_slots};

/* --- metrics -------------------------------------------------------------------------------- */

static double sum, least = 1e300, most = -1e300;
static uint64_t buckets[1 << 12];
static PyObject *seen[8];

static PyObject *add(PyObject *self, PyObject *const *args, Py_ssize_t n, PyObject *names) {
    (void)self, (void)args, (void)n, (void)names;
    sum += 1;
    Py_RETURN_NONE;
}

static inline void same_labels(PyObject *const *values, PyObject *names) {
    Py_ssize_t labels = names ? PyTuple_GET_SIZE(names) : 0;
    for (Py_ssize_t i = 0; i < labels && i < 8; i++) {
        if (seen[i] != values[i]) {
            Py_XDECREF(seen[i]);
            seen[i] = Py_NewRef(values[i]);
        }
    }
}

static PyObject *
add_labels(PyObject *self, PyObject *const *args, Py_ssize_t n, PyObject *names) {
    (void)self;
    same_labels(args + n, names);
    sum += (double)PyLong_AsLong(args[0]);
    Py_RETURN_NONE;
}

static inline void bucket(PyObject *number) {
    double value = PyFloat_AsDouble(number);
    uint64_t bits;
    memcpy(&bits, &value, 8);
    buckets[bits >> 52 & 0xfff]++;
    sum += value;
    if (value < least) least = value;
    if (value > most) most = value;
}

static PyObject *record(PyObject *self, PyObject *const *args, Py_ssize_t n, PyObject *names) {
    (void)self, (void)n, (void)names;
    bucket(args[0]);
    Py_RETURN_NONE;
}

static PyObject *
record_labels(PyObject *self, PyObject *const *args, Py_ssize_t n, PyObject *names) {
    (void)self;
    same_labels(args + n, names);
    bucket(args[0]);
    Py_RETURN_NONE;
}

/* --- a decorated function ------------------------------------------------------------------- */

typedef struct {
    PyObject_HEAD
    vectorcallfunc call;
    PyObject *function;
} Traced;

static PyObject *call(PyObject *self, PyObject *const *args, size_t n, PyObject *names) {
    PyObject *token = PyContextVar_Set(variable, self);
    PyObject *result;
    put(__rdtsc());
    result = PyObject_Vectorcall(((Traced *)self)->function, args, n, names);
    put(__rdtsc());
    if (token) {
        PyContextVar_Reset(variable, token);
        Py_DECREF(token);
    }
    return result;
}

static PyMemberDef traced_members[] = {
    {"__vectorcalloffset__", T_PYSSIZET, offsetof(Traced, call), READONLY, NULL},
    {NULL, 0, 0, 0, NULL},
};
static PyType_Slot traced_slots[] = {
    {Py_tp_members, traced_members}, {Py_tp_call, PyVectorcall_Call}, {0, NULL}};
static PyType_Spec traced_spec = {
    "floor.Traced", sizeof(Traced), 0,
    Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_VECTORCALL, traced_slots};

static PyObject *class_of_traced;

static PyObject *trace(PyObject *self, PyObject *function) {
    Traced *made = PyObject_New(Traced, (PyTypeObject *)class_of_traced);
    (void)self;
    if (made) {
        made->call = call;
        made->function = Py_NewRef(function);
    }
    return (PyObject *)made;
}

/* --- propagation ---------------------------------------------------------------------------- */

static uint64_t ids[3] = {0x0af7651916cd43dd, 0x8448eb211c80319c, 0xb7ad6b7169203331};

static PyObject *inject(PyObject *self, PyObject *const *args, Py_ssize_t n, PyObject *names) {
    PyObject *text = PyUnicode_New(55, 127);
    PyObject *held = NULL;
    (void)self, (void)n, (void)names;
    if (text == NULL) return NULL;
    PyContextVar_Get(variable, NULL, &held);
    Py_XDECREF(held);
    char *out = (char *)PyUnicode_1BYTE_DATA(text);
    memcpy(out, "00-0123456789abcdef0123456789abcdef-0123456789abcdef-01", 55);
    for (int word = 0; word < 3; word++) {
        for (int i = 0; i < 16; i++) {
            out[3 + word * 16 + (word == 2) + i] = "0123456789abcdef"[ids[word] >> i * 4 & 15];
        }
    }
    int failed = PyDict_SetItem(args[0], key, text);
    Py_DECREF(text);
    if (failed) return NULL;
    Py_RETURN_NONE;
}

static PyObject *extract(PyObject *self, PyObject *headers) {
    PyObject *text = PyDict_GetItemWithError(headers, key);
    Py_ssize_t size = 0;
    const char *bytes = text ? PyUnicode_AsUTF8AndSize(text, &size) : NULL;
    (void)self;
    if (bytes == NULL || size != 55) Py_RETURN_NONE;
    for (int word = 0; word < 3; word++) {
        uint64_t id = 0;
        for (int i = 0; i < 16; i++) {
            unsigned char c = (unsigned char)bytes[3 + word * 16 + (word == 2) + i];
            id = id << 4 | (c <= '9' ? c - '0' : (c | 32) - 'a' + 10u);
        }
        put(id);
    }
    return (PyObject *)new_span();
}

#define FAST(name, function)                                                                       \
    {name, (PyCFunction)(void *)function, METH_FASTCALL | METH_KEYWORDS, NULL}
static PyMethodDef methods[] = {
    FAST("empty", empty),
    FAST("copied", copied),
    FAST("span", span),
    FAST("root", root),
    FAST("same_span", same_span),
    FAST("add", add),
    FAST("add_labels", add_labels),
    FAST("record", record),
    FAST("record_labels", record_labels),
    {"trace", trace, METH_O, NULL},
    FAST("inject", inject),
    {"extract", extract, METH_O, NULL},
    {NULL, NULL, 0, NULL},
};
static PyType_Slot slots[] = {{Py_tp_methods, methods}, {0, NULL}};
static PyType_Spec spec = {"floor.Floor", sizeof(PyObject), 0, Py_TPFLAGS_DEFAULT, slots};

static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, "floor", NULL, -1, NULL,
                                    NULL, NULL, NULL, NULL};

PyMODINIT_FUNC PyInit_floor(void) {
    PyObject *made = PyModule_Create(&module);
    PyObject *class_of_floor = PyType_FromSpec(&spec);
    variable = PyContextVar_New("floor", NULL);
    key = PyUnicode_InternFromString("traceparent");
    class_of_span = PyType_FromSpec(&span_spec);
    class_of_traced = PyType_FromSpec(&traced_spec);
    if (!made || !class_of_floor || !variable || !key || !class_of_span || !class_of_traced) {
        return NULL;
    }
    PyObject *class_of_method = PyType_FromSpec(&method_spec);
    if (!class_of_method) return NULL;
    PyObject *method = (PyObject *)PyObject_New(PyObject, (PyTypeObject *)class_of_method);
    if (!method || PyObject_SetAttrString(class_of_span, "__enter__", method) != 0) return NULL;
    if (PyObject_SetAttrString(class_of_span, "__exit__", method) != 0) return NULL;
    shared = (PyObject *)new_span();
    if (shared == NULL) return NULL;
    if (PyModule_AddObject(made, "Floor", class_of_floor) != 0) return NULL;
    return made;
}
