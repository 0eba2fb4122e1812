/* memset of more than WIDE_ABOVE bytes, with vectors of 32 bytes. */
#include "vector.h"

#define PUT(place) (*(wide *)(place) = pattern)

typedef char bytes __attribute__((__vector_size__(32)));

/* From here on the microcode's fill is faster than 128 bytes at a time. */
enum { STRING_INSTRUCTION_FROM = 32768 };

void *__tmebox_memset_wide(void *start, int byte, size_t n)
{
	unsigned char *to = start, *end = to + n;
	if (n >= STRING_INSTRUCTION_FROM) {
		__asm__ __volatile__("rep stosb" : "+D"(to), "+c"(n) : "a"(byte) : "memory");
		return start;
	}
	wide pattern = (wide)((bytes){ 0 } + (char)byte);
	PUT(to);
	PUT(to + 32);
	PUT(end - 32);
	PUT(end - 64);
	if (n <= 128) return start;
	PUT(to + 64);
	PUT(to + 96);
	PUT(end - 96);
	PUT(end - 128);
	if (n <= 256) return start;
	for (to = (unsigned char *)((uintptr_t)(to + 128) & -(uintptr_t)WIDE); to < end - 128; to += 128) {
		PUT(to);
		PUT(to + 32);
		PUT(to + 64);
		PUT(to + 96);
	}
	return start;
}
