/* Merge sort, top down. */
#include "numbers.h"

static void merge_sort(uint32_t *at, uint32_t *free_space, int count)
{
	if (count < 2) return;
	int half = count / 2;
	merge_sort(at, free_space, half);
	merge_sort(at + half, free_space, count - half);
	memcpy(free_space, at, (size_t)half * sizeof *at);
	int i = 0, j = half, to = 0;
	while (i < half && j < count) at[to++] = free_space[i] <= at[j] ? free_space[i++] : at[j++];
	while (i < half) at[to++] = free_space[i++];
}

static void sort(void)
{
	merge_sort(numbers, spare, COUNT);
}
