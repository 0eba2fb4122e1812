/* The shared heap's Python types, and what their files ask of each other. */
#ifndef TMEBOX_PYTHON_HEAP_H
#define TMEBOX_PYTHON_HEAP_H

#include "heap/heap.h"
#include "python/face.h"

struct heap_object {
    PyObject_HEAD
    struct heap *heap;
    PyTypeObject *block_type;
    PyObject *dict, *weak;
};

enum block_state {
    BLOCK_LIVE,     /* the host ends it */
    BLOCK_FREED,
    BLOCK_RELEASED, /* its owner ends it */
};

struct block {
    PyObject_HEAD
    struct heap_object *owner; /* the heap */
    struct heap_doomed *doomed;
    uint64_t size;
    uint32_t start, handle;
    enum block_state state;
};

extern PyTypeObject tmebox_heap_type, tmebox_block_type;
extern PyMethodDef tmebox_heap_module_methods[];

/* The machine that a TmeEngine is, or NULL with an exception set. tme_engine.c. */
struct tme_machine *tmebox_tme_machine_of(PyObject *engine);
/* heap_machine.c. The heap of a machine, or, for None, page tables'. NULL with an exception set. */
struct heap *tmebox_heap_in(PyObject *machine, int device, size_t size, bool dense, bool views);
/* The exception for memory that does not verify where the host looks. */
void tmebox_heap_raise_bad(const struct heap *heap, const struct heap_bad *bad, const char *access);
/* Locks the heap, once what was dropped is freed; or false with an exception set: closed, or another process's. */
bool tmebox_heap_open(struct heap_object *self);
/* A Block of the heap's type that is of nothing yet. With the heap unlocked: the collector may run. NULL with an
 * exception set. */
struct block *tmebox_block_new(struct heap_object *self);
/* It is of what starts there, and ends it. With the heap locked. */
void tmebox_block_begin(struct block *self, uint32_t start, uint64_t size);
/* The block that a Block, or a buffer that starts where it does, is of. With the heap locked, which it stays. False
 * with an exception set, unlocked. */
bool tmebox_block_named(struct heap_object *self, PyObject *object, uint32_t *start, struct block **block);
/* Where a Block is in the windows of the heap's sandboxes; false: not of that heap, or no more, or it may be moved. */
bool tmebox_block_offset(PyObject *object, const struct heap *heap, uint64_t *offset);

/* heap_facts.c: methods of Heap. */
PyObject *tmebox_heap_owner_at(PyObject *heap, PyObject *offset);
PyObject *tmebox_heap_map(PyObject *heap, PyObject *unused);
PyObject *tmebox_heap_figures(PyObject *heap, PyObject *unused);
PyObject *tmebox_heap_members_of(PyObject *heap, PyObject *key);
PyObject *tmebox_heap_repeat(PyObject *object, PyObject *args);
PyObject *tmebox_heap_offset_of(PyObject *heap, PyObject *named);

/* heap_moving.c: methods of Heap. */
PyObject *tmebox_heap_compact_method(PyObject *heap, PyObject *args);
PyObject *tmebox_heap_relocate_method(PyObject *heap, PyObject *args);
PyObject *tmebox_heap_flush_method(PyObject *heap, PyObject *unused);

/* tenant.c: methods of Instance. */
PyObject *tmebox_instance_end_blocks(PyObject *instance, PyObject *unused);
PyObject *tmebox_instance_read_shared(PyObject *instance, PyObject *args);
PyObject *tmebox_instance_write_shared(PyObject *instance, PyObject *args);
/* Its blocks are freed, or the host's; it has no heap any more. */
void tmebox_instance_detach(struct instance *self);

#endif
