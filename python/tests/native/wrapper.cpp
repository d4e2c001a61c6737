// The C++ wrapper inside a Python process.

#include <coati_python.h>

#include <coati.hpp>

static PyObject *work(PyObject *, PyObject *) {
    static coati::engine engine{""};
    coati::logger log = engine.logger("wrapped");
    coati::tracer tracer = engine.tracer("wrapped");
    auto span = tracer.span("in C++");
    log.info("from C++", {{"steps", 4}, {"model", "gpt-4o"}});
    Py_RETURN_NONE;
}

static PyMethodDef methods[] = {{"work", work, METH_NOARGS, nullptr}, {nullptr, nullptr, 0, nullptr}};

static PyModuleDef module = {PyModuleDef_HEAD_INIT, "wrapper", nullptr, -1, methods,
                             nullptr, nullptr, nullptr, nullptr};

PyMODINIT_FUNC PyInit_wrapper() {
    if (coati_python_import() < 0) return nullptr;
    return PyModule_Create(&module);
}
