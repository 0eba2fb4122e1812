/* Sorting, and taking by place. */
#ifndef TMEBOX_ORDER_H
#define TMEBOX_ORDER_H

array_t *array_argsort(array_t *array);
array_t *array_take(array_t *view, int axis, const array_t *where);

#endif
