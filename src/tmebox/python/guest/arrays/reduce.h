/* Numbers of the reductions: those of elements before those of places. */
#ifndef TMEBOX_REDUCE_H
#define TMEBOX_REDUCE_H

#undef MIN
#undef MAX
enum reduction { SUM, PRODUCT, MEAN, VARIANCE, ANY, ALL, MIN, MAX, ARGMIN, ARGMAX };

mp_obj_t array_reduce(int reduction, array_t *array, mp_obj_t axis);
mp_obj_t array_cumulate(array_t *array, bool product);

#endif
