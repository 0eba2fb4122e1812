/* Heapsort. */
#include "numbers.h"

static void sift(int at, int size)
{
	uint32_t value = numbers[at];
	for (int child; (child = 2 * at + 1) < size; at = child) {
		if (child + 1 < size && numbers[child + 1] > numbers[child]) child++;
		if (numbers[child] <= value) break;
		numbers[at] = numbers[child];
	}
	numbers[at] = value;
}

static void sort(void)
{
	for (int i = COUNT / 2 - 1; i >= 0; i--) sift(i, COUNT);
	for (int end = COUNT - 1; end > 0; end--) {
		uint32_t largest = numbers[0];
		numbers[0] = numbers[end];
		numbers[end] = largest;
		sift(0, end);
	}
}
