/* Arrays of numbers, as NumPy's users know them: what the files of this folder share. */
#ifndef TMEBOX_ARRAY_H
#define TMEBOX_ARRAY_H

#include "../port.h"

#define MOST WIRE_MOST_DIMENSIONS
/* Elements that are worked on together: they are converted to one of two types, and back. */
#define LANES 256
/* As many elements count as one instruction of the interpreter. */
#define ELEMENTS_AN_INSTRUCTION 8

/* In the order of WIRE_ELEMENTS. */
enum element { BOOL, I8, U8, I16, U16, I32, U32, I64, U64, F32, F64, ELEMENTS };

typedef struct {
    mp_obj_base_t base;
    char *data;         /* of the first element */
    void *memory;       /* in the collected heap: what holds the data; NULL: the host holds it */
    uint32_t known_by;  /* to the host */
    uint64_t generation;
    int element;
    int dimensions;
    mp_int_t length[MOST];
    mp_int_t stride[MOST]; /* bytes */
} array_t;

typedef struct {
    mp_obj_base_t base;
    int element;
    qstr name;
} dtype_t;

extern const mp_obj_type_t array_type;
extern const mp_obj_type_t dtype_type;
extern const dtype_t array_dtypes[ELEMENTS];

static inline bool is_float(int element) {
    return element >= F32;
}

/* array.c */
size_t element_size(int element);
mp_int_t array_count(const array_t *array);
array_t *array_get(mp_obj_t value); /* raises, also for arrays that did not come along with a snapshot */
array_t *array_of(mp_obj_t value);  /* makes one of numbers and sequences */
array_t *array_new(int element, int dimensions, const mp_int_t *length); /* zeros */
array_t *array_view(const array_t *whole);
array_t *array_as(array_t *array, int element); /* a contiguous copy */
array_t *array_contiguous(array_t *array);      /* itself, if it is */
bool array_is_contiguous(const array_t *array);
int element_of(mp_obj_t dtype);
int element_for(mp_obj_t number);               /* of a scalar */
mp_obj_t array_item(const array_t *array, const char *place);
void array_set_item(const array_t *array, char *place, mp_obj_t value);
mp_obj_t array_scalar(array_t *array);          /* of an array without dimensions, its element; else itself */
int take_shape(mp_obj_t shape, mp_int_t *length);
mp_obj_t array_to_list(const array_t *array);
mp_int_t take_axis(mp_obj_t axis, const array_t *array);

/* lanes.c */
const double *load_floats(const char *data, mp_int_t stride, int element, size_t count, double *room);
const int64_t *load_ints(const char *data, mp_int_t stride, int element, size_t count, int64_t *room);
void store_floats(char *data, mp_int_t stride, int element, size_t count, const double *values);
void store_ints(char *data, mp_int_t stride, int element, size_t count, const int64_t *values);

/* walk.c: arrays of one shape, a stretch of the innermost dimension at a time, at most LANES long. */
struct walk {
    int operands;
    int dimensions;
    mp_int_t length[MOST];
    struct {
        char *data;
        int element;
        mp_int_t stride[MOST];
    } operand[4];
};
typedef void step_t(void *context, size_t count, char *const *data, const mp_int_t *strides);
void walk_begin(struct walk *walk, int dimensions, const mp_int_t *length);
void walk_add(struct walk *walk, const array_t *array); /* broadcast */
void walk_go(struct walk *walk, step_t *step, void *context);
void charge(size_t elements);
int broadcast(mp_int_t *length, int count, array_t *const *arrays); /* dimensions; raises */

/* The rest. */
mp_obj_t array_binary(mp_binary_op_t operation, mp_obj_t left, mp_obj_t right);
mp_obj_t array_unary(mp_unary_op_t operation, mp_obj_t value);
mp_obj_t array_subscript(mp_obj_t self, mp_obj_t index, mp_obj_t value);
void array_print(const mp_print_t *print, mp_obj_t self, mp_print_kind_t kind);
void array_assign(array_t *to, array_t *from);
mp_obj_t array_dot(mp_obj_t left, mp_obj_t right);
int promote(int one, int other);
extern const mp_obj_dict_t array_methods;

#endif
