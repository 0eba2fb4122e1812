/* Numbers of the operations that work element by element. Comparisons are last. */
#ifndef TMEBOX_UFUNC_H
#define TMEBOX_UFUNC_H

enum operation {
    ADD, SUBTRACT, MULTIPLY, DIVIDE, FLOOR_DIVIDE, MODULO, POWER, AND, OR, XOR, SHIFT_LEFT, SHIFT_RIGHT,
    MINIMUM, MAXIMUM, ARCTAN2, HYPOT,
    LESS, LESS_EQUAL, GREATER, GREATER_EQUAL, EQUAL, NOT_EQUAL,
};

enum function {
    NEGATIVE, ABSOLUTE, INVERT, SQUARE, SIGN,
    SQRT, EXP, LOG, LOG2, LOG10, LOG1P, EXPM1, SIN, COS, TAN, ARCSIN, ARCCOS, ARCTAN, SINH, COSH, TANH,
    FLOOR, CEIL, TRUNC, RINT,
    ISNAN, ISFINITE, ISINF,
};

array_t *array_apply(int operation, mp_obj_t left, mp_obj_t right);
array_t *array_map(int function, mp_obj_t value);

#endif
