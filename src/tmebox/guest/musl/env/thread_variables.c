/* Thread-local variables of threads that are made: a copy of what the first thread's were before anything ran.

   Those of the first thread are ordinary data, [__tmebox_thread_start, __tmebox_thread_end) in the link script. What is
   initialised of it is kept before any constructor runs, in programs that can make threads. */
#include <stddef.h>
#include <string.h>

#include "kernel.h"
#include "libc.h"
#include "pthread_impl.h"

extern HIDDEN char __tmebox_thread_start[], __tmebox_thread_data_end[], __tmebox_thread_end[];

enum { ALIGNMENT = TMEBOX_THREAD_ALIGNMENT };
static void *image;

static size_t image_size(void)
{
	return (size_t)__tmebox_thread_data_end - (size_t)__tmebox_thread_start;
}

static void keep_image(void)
{
	size_t size = image_size();
	if (size == 0) return;
	image = __tmebox_pages_get((size + TMEBOX_PAGE_SIZE - 1) / TMEBOX_PAGE_SIZE, 1, 0);
	if (image) memcpy(image, __tmebox_thread_start, size);
}

/* The first of all constructors. */
__attribute__((__section__(".init_array.0"), __used__)) static void (*const first)(void) = keep_image;

/* In `memory`, libc.tls_size bytes of zeros: the descriptor, then the variables, at the first thread's distance from a
   multiple of ALIGNMENT. `dtv` has no other use here: it is what __tmebox_thread_offset will be. */
void *__copy_tls(unsigned char *memory)
{
	pthread_t descriptor = (pthread_t)(((uintptr_t)memory + 15) & -16UL);
	uintptr_t start = (uintptr_t)__tmebox_thread_start, place = (uintptr_t)(descriptor + 1);
	place += (start - place) & (ALIGNMENT - 1);
	if (image) memcpy((void *)place, image, image_size());
	descriptor->dtv = (uintptr_t *)(place - start);
	return descriptor;
}
