/* A libFuzzer program whose target is written in Python: `one_input(data)` of the module that the environment
 * variable HYPERWS_FUZZ_TARGET names. An exception there is a finding.
 *
 * HYPERWS_FUZZ_PYTHON is the interpreter whose packages are used. The compiled core has to be built for
 * fuzzing: then its own branches guide libFuzzer. So do the lines of the package's Python modules where the
 * target has GUIDED_BY_LINES, which makes it slower.
 */
#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <frameobject.h>
#include <stdint.h>
#include <string.h>

static PyObject *one_input;

__attribute__((section("__libfuzzer_extra_counters"))) static uint8_t lines[1 << 14];

/* Counts the lines that run in the package, each at some place of its own. */
static int trace(PyObject *unused, PyFrameObject *frame, int what, PyObject *arg) {
    (void)unused;
    (void)arg;
    PyCodeObject *code = PyFrame_GetCode(frame);
    if (what == PyTrace_CALL) {
        const char *file = PyUnicode_AsUTF8(code->co_filename);
        if (!file || !strstr(file, "/core/hyperws/")) {
            PyObject_SetAttrString((PyObject *)frame, "f_trace_lines", Py_False);
        }
    } else if (what == PyTrace_LINE) {
        size_t place = (size_t)code->co_firstlineno * 31 + (size_t)PyFrame_GetLineNumber(frame) * 1021;
        lines[place % sizeof lines]++;
    }
    Py_DECREF(code);
    return 0;
}

static void end_where_python_failed(void) {
    if (PyErr_Occurred()) {
        PyErr_Print();
        fflush(stderr);
        abort(); /* libFuzzer keeps the input */
    }
}

static void start_python(void) {
    PyConfig config;
    PyConfig_InitPythonConfig(&config);
    config.install_signal_handlers = 0; /* libFuzzer has its own */
    const char *program = getenv("HYPERWS_FUZZ_PYTHON");
    PyStatus status = program ? PyConfig_SetBytesString(&config, &config.program_name, program) : PyStatus_Ok();
    if (!PyStatus_Exception(status)) {
        status = Py_InitializeFromConfig(&config);
    }
    PyConfig_Clear(&config);
    if (PyStatus_Exception(status)) {
        Py_ExitStatusException(status);
    }
}

int LLVMFuzzerInitialize(int *argc, char ***argv) {
    (void)argc;
    (void)argv;
    const char *target = getenv("HYPERWS_FUZZ_TARGET");
    if (!target) {
        fputs("HYPERWS_FUZZ_TARGET has to name a module with one_input(data)\n", stderr);
        exit(2);
    }
    start_python();
    PyObject *module = PyImport_ImportModule(target);
    end_where_python_failed();
    one_input = PyObject_GetAttrString(module, "one_input");
    end_where_python_failed();
    if (PyObject_HasAttrString(module, "GUIDED_BY_LINES")) {
        PyEval_SetTrace(trace, NULL);
    }
    Py_DECREF(module);
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    PyObject *result = PyObject_CallFunction(one_input, "y#", data, (Py_ssize_t)size);
    end_where_python_failed();
    Py_DECREF(result);
    return 0;
}
