/* A plain C extension module around functions.c: the least that a call from Python can cost. */
#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include "functions.h"

static PyObject *callback;

long answer(long value)
{
	PyObject *argument = PyLong_FromLong(value);
	PyObject *result = argument ? PyObject_CallOneArg(callback, argument) : NULL;
	long answered = result ? PyLong_AsLong(result) : -1;
	Py_XDECREF(argument);
	Py_XDECREF(result);
	return answered;
}

static PyObject *call_add(PyObject *self, PyObject *const *args, Py_ssize_t count)
{
	(void)self;
	if (count != 2) return PyErr_Format(PyExc_TypeError, "add(a, b)");
	long a = PyLong_AsLong(args[0]), b = PyLong_AsLong(args[1]);
	return PyErr_Occurred() ? NULL : PyLong_FromLong(add((int)a, (int)b));
}

static PyObject *call_length(PyObject *self, PyObject *text)
{
	(void)self;
	const char *characters = PyUnicode_AsUTF8(text);
	return characters ? PyLong_FromLong(length(characters)) : NULL;
}

static PyObject *call_touch(PyObject *self, PyObject *array)
{
	Py_buffer view;
	(void)self;
	if (PyObject_GetBuffer(array, &view, PyBUF_SIMPLE)) return NULL;
	int result = touch(view.buf, view.len);
	PyBuffer_Release(&view);
	return PyLong_FromLong(result);
}

static PyObject *call_ask(PyObject *self, PyObject *const *args, Py_ssize_t count)
{
	(void)self;
	if (count != 2) return PyErr_Format(PyExc_TypeError, "ask(times, function)");
	long times = PyLong_AsLong(args[0]);
	callback = args[1];
	long sum = ask(times);
	return PyErr_Occurred() ? NULL : PyLong_FromLong(sum);
}

static PyMethodDef methods[] = {
	{ "add", (PyCFunction)(void (*)(void))call_add, METH_FASTCALL, NULL },
	{ "length", call_length, METH_O, NULL },
	{ "touch", call_touch, METH_O, NULL },
	{ "ask", (PyCFunction)(void (*)(void))call_ask, METH_FASTCALL, NULL },
	{ NULL, NULL, 0, NULL },
};

static struct PyModuleDef definition = {
	PyModuleDef_HEAD_INIT, .m_name = "tmebox_bench_extension", .m_size = -1, .m_methods = methods,
};

PyMODINIT_FUNC PyInit_tmebox_bench_extension(void)
{
	return PyModule_Create(&definition);
}
