/* The face of the core in Python: its types, its tables of methods, and what their files ask of each other.
 * Nothing below this folder includes it. */
#ifndef TMEBOX_FACE_H
#define TMEBOX_FACE_H

#include "enter/enter.h"

/* Instance.state */
#define IDLE 0
#define RUNNING 1
#define DEAD 2

/* Texts start at multiples of this in the room lent for them. */
#define TEXT_ALIGN 16

/* -- after a call (instance.c) ----------------------------------------------------------------------- */
/* To be said last by whoever called, when nothing is left to be read of the sandbox's memory: if nobody wants the sandbox
 * any more, the end of its outermost call ends it. Returns the result, or NULL with the exception that is set. */
PyObject *tmebox_end_doomed(struct instance *instance, PyObject *result);
static inline PyObject *tmebox_called(struct instance *instance, PyObject *result) {
    return LIKELY(!instance->closed) ? result : tmebox_end_doomed(instance, result);
}

/* -- conversion by code (codes.c) -------------------------------------------------------------------- */
/* A struct by value: a letter for each word, 'i' in integer registers, 'x' in vector registers; "m": in memory; NULL or
 * "": not here. */
struct by_value {
    const char *passing;
    uint32_t size;
};
/* 0, or -1 with ValueError set. by_value: of the result, and then of each parameter. Of functions of the host no struct
 * converts here. */
int tmebox_parse_signature(struct signature *signature, const char *arguments, const char *result,
                           const struct by_value *by_value);
/* The same for what sandboxed code calls. Arguments may be 's' or 'y' as well, pointers to text that arrive as str or
 * bytes, and 'o', a pointer to void or what stands for an object of the host. */
int tmebox_parse_import_signature(struct signature *signature, const char *arguments, const char *result);
/* Whether `value` converts exactly; leaves no exception. Buffers do not convert here. */
bool tmebox_to_word(char code, PyObject *value, uint64_t *word);
PyObject *tmebox_from_word(char code, uint64_t word);

/* A struct by value. */
#define STRUCT_VALUE 'V'

/* items.c. What a pointer points to: any items; bytes, for which any do as well; items of one kind and size
 * (the struct module's letters hHiIlLfd?); or something that is not told apart here ('-'). */
#define ANY_ITEMS '*'
#define BYTES 'c'
bool tmebox_items_fit(char item, const Py_buffer *view);

/* -- host functions (hostfunction.c) ------------------------------------------------------------------- */
int tmebox_call_typed(struct activation *activation, const struct import *import);
int tmebox_call_raw(struct activation *activation, const struct import *import);

/* -- types and tables of methods ----------------------------------------------------------------------- */
extern PyTypeObject tmebox_instance_type, tmebox_function_type, tmebox_export_type, tmebox_region_type, tmebox_pointer_type;
extern PyTypeObject tmebox_shelf_type, tmebox_extents_type, tmebox_descriptor_type;
/* Whether it is a Function of type `void (void)` (export.c); function.c calls such a one, entering so often: 0, or -1
 * with an exception set. */
bool tmebox_is_plain(PyObject *function);
int tmebox_call_plain(PyObject *function, uint64_t times_entered, uint64_t *detected);

/* tme_engine.c, tme_lines.c, tme_views.c */
struct tme_machine;
PyObject *tmebox_tme_configure(struct tme_machine *machine, PyObject *args); /* tme_keys.c */
PyObject *tmebox_tme_set_key(struct tme_machine *machine, PyObject *args);
PyObject *tmebox_tme_show_counts(const struct tme_machine *machine);
PyObject *tmebox_tme_show_verifying(struct tme_machine *machine, uint64_t line);
PyObject *tmebox_tme_show_events(const struct tme_machine *machine);
PyObject *tmebox_tme_show_drawn(struct tme_machine *machine, PyObject *key_id);
PyObject *tmebox_tme_show_cache(const struct tme_machine *machine);
PyObject *tmebox_tme_show_lines(struct tme_machine *machine, PyObject *args);
PyObject *tmebox_tme_take_lines(struct tme_machine *machine, PyObject *args);
extern PyTypeObject tmebox_tme_engine_type;
extern PyMethodDef tmebox_tme_methods[];

/* custody.c, extents.c: readies the types that only they make. -1 with an exception set. */
int tmebox_init_custody(void);
int tmebox_init_side(void); /* side.c */
int tmebox_init_extents(void);
bool tmebox_extent_of(PyObject *extent, uint64_t *start, uint64_t *end); /* false with TypeError set */
/* An Extent in what is `provided` of an Extents; NULL without an exception where there is none. */
PyObject *tmebox_take_provided(PyObject *extents, uint64_t size, uint64_t *start);

/* imports.c. Instance.set_imports. */
PyObject *tmebox_set_imports(PyObject *instance, PyObject *rows);

/* -- rawcall.c ------------------------------------------------------------------------------------ */
/* Of a time limit as Python has it, 0 for none. -1 with an exception set. */
int tmebox_timeout_from(double seconds, uint64_t *timeout_ns);
PyObject *tmebox_instance_call(PyObject *instance, PyObject *args);

/* -- stacks.c ------------------------------------------------------------------------------------- */
extern PyMethodDef tmebox_stack_methods[];
PyObject *tmebox_instance_end_threads(PyObject *instance, PyObject *unused);
PyObject *tmebox_instance_threads(PyObject *instance, PyObject *unused);
PyObject *tmebox_instance_begin_threads(PyObject *instance, PyObject *threads);
PyObject *tmebox_instance_keep_words(PyObject *instance, PyObject *words);
PyObject *tmebox_instance_read_control(PyObject *instance, PyObject *args);
/* Control stacks are zeros again, too, and no thread stands on one. */
void tmebox_begin_stacks_again(struct instance *instance);
int tmebox_parse_import(struct import *import, PyObject *row); /* what it filled in is freed below */
void tmebox_free_import(struct import *import);
void tmebox_free_imports(struct import *imports, uint32_t count);

/* pointer.c. The type and what is derived from it, which the last four are for; each may be NULL. */
struct pointer {
    PyObject_HEAD
    struct instance *instance;
    uint64_t offset;
    PyObject *kind;
    bool freed;
    PyObject *space;
    PyObject *target;
    PyObject *count;
    PyObject *keeps;
};
/* Of a pointer: false if it is of another sandbox or kind, or was freed. */
bool tmebox_pointer_to_word(PyObject *value, const struct instance *instance, const PyObject *kind, uint64_t *word);

/* pointermaker.c. What a maker that has an instance and space of its own makes has those. None for offset 0. */
bool tmebox_is_pointer_maker(PyObject *object);
PyObject *tmebox_make_pointer(PyObject *maker, struct instance *instance, PyObject *space, uint64_t offset,
                              PyObject *count, PyObject *keeps);
/* Of what a call returned: a pointer, or the object that a handle stands for. */
PyObject *tmebox_make_result(PyObject *maker, struct instance *instance, PyObject *space, uint64_t word);
int tmebox_init_pointer_makers(PyObject *module);

/* structlayout.c. */
#define LARGEST_STRUCT 256
bool tmebox_is_struct_layout(PyObject *object);
uint32_t tmebox_struct_size(PyObject *layout);
bool tmebox_struct_is_flat(PyObject *layout);
/* Whether a value may be packed: a dict, a tuple, or what stands for such a struct. */
bool tmebox_struct_takes(PyObject *layout, PyObject *value);
struct by_value tmebox_struct_passing(PyObject *layout);
/* What stands for it in Python: NULL with an exception set. With pointers in it, it knows whose they are, if there is
 * an instance. */
PyObject *tmebox_struct_unpack(PyObject *layout, const unsigned char *from, const struct instance *instance);
/* The size of what was written, or -1 unless the value is a dict or a tuple that converts exactly; leaves no
 * exception. `to` has that much room. Pointers convert only if there is an instance. Runs no Python code. */
Py_ssize_t tmebox_struct_pack(PyObject *layout, PyObject *value, const struct instance *instance, unsigned char *to);
/* What a flat struct's members are goes into the dict; false with an exception set. May run any Python code. */
bool tmebox_struct_update(PyObject *layout, PyObject *dict, const unsigned char *from, const struct instance *instance);
int tmebox_init_structs(PyObject *module);

/* callbacks.c. Methods of Instance. */
PyObject *tmebox_begin_callbacks(PyObject *instance, PyObject *first);
PyObject *tmebox_add_callback(PyObject *instance, PyObject *args);
PyObject *tmebox_close_callback(PyObject *instance, PyObject *index);
PyObject *tmebox_lend_handles(PyObject *instance, PyObject *handles);
int tmebox_visit_callbacks(const struct instance *instance, visitproc visit, void *arg);
void tmebox_free_callbacks(struct instance *instance);

extern PyMethodDef tmebox_cpu_methods[], tmebox_confine_methods[], tmebox_crossing_methods[], tmebox_hostfunction_methods[],
    tmebox_custody_methods[], tmebox_side_methods[];

#endif
