/* Quicksort, median of three, insertion sort for short runs. */
#include "numbers.h"

static void swap(uint32_t *one, uint32_t *other)
{
	uint32_t kept = *one;
	*one = *other;
	*other = kept;
}

static void insertion_sort(uint32_t *low, uint32_t *high)
{
	for (uint32_t *at = low + 1; at <= high; at++) {
		uint32_t value = *at, *to = at;
		for (; to > low && to[-1] > value; to--) *to = to[-1];
		*to = value;
	}
}

static void quicksort(uint32_t *low, uint32_t *high)
{
	while (high - low > 16) {
		uint32_t *middle = low + (high - low) / 2;
		if (*middle < *low) swap(middle, low);
		if (*high < *low) swap(high, low);
		if (*high < *middle) swap(high, middle);
		uint32_t pivot = *middle, *i = low, *j = high;
		while (i <= j) {
			while (*i < pivot) i++;
			while (*j > pivot) j--;
			if (i <= j) swap(i++, j--);
		}
		if (j - low < high - i) {
			quicksort(low, j);
			low = i;
		} else {
			quicksort(i, high);
			high = j;
		}
	}
	insertion_sort(low, high);
}

static void sort(void)
{
	quicksort(numbers, numbers + COUNT - 1);
}
