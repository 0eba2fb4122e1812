/* What `tmebox demo` runs against its own sandboxes: each function is one way out that must not work. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* Reads from a true host address upwards until it has found the host's secret. */
int read_host(uint64_t address, uint64_t pattern)
{
	for (volatile uint64_t *place = (volatile uint64_t *)address;; place++)
		if (*place == pattern)
			return 1;
}

/* Overwrites host memory from a true address upwards. */
void write_host(uint64_t address)
{
	for (volatile uint8_t *place = (volatile uint8_t *)address;; place++)
		*place = 0x41;
}

/* Innocent, unless entered at its sixth byte: there the constant reads 0f 05 c3, syscall and ret. */
__attribute__((noinline)) uint64_t constant(void)
{
	uint64_t value = 0x9090c3050f909090;
	__asm__ volatile("" : "+r"(value));
	return value;
}

int jump_into_instruction(void)
{
	volatile uintptr_t entry = (uintptr_t)constant;
	return (int)((uint64_t (*)(void))(entry + 5))();
}

static volatile int arrived;

__attribute__((noinline)) static void never_called(void)
{
	arrived = 1;
	for (;;)
		;
}

/* A classic buffer overflow: writes past a local array, over where the return address would be saved. 1: it was for nothing. */
__attribute__((noinline)) static int overflow_buffer(int words)
{
	volatile uintptr_t buffer[2];
	volatile uintptr_t *place = buffer;
	for (int index = 0; index < words; index++)
		place[index] = (uintptr_t)never_called;
	return (int)buffer[0];
}

int overwrite_return_address(int words)
{
	volatile char callers_frame[4096];
	callers_frame[words] = 0;
	return overflow_buffer(words) == (int)(uintptr_t)never_called && !arrived;
}

void endless_loop(void)
{
	for (volatile int turn = 0;; turn++)
		;
}

/* Each frame needs the next one's result, so this can't become a loop. */
int overflow_stack(int depth)
{
	volatile char frame[4096];
	frame[depth & 4095] = (char)depth;
	return overflow_stack(depth + 1) + frame[depth & 4095];
}

/* Takes memory, and uses it, until there is none. */
void memory_bomb(void)
{
	static void *volatile last;
	for (;;)
		last = memset(malloc(1 << 20), 0xff, 1 << 20);
}

/* Not an attack: the neighbour's work. */
int alive(int x)
{
	return x + 1;
}
