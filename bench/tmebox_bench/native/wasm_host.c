/* What a program turned into C by wasm2c needs around it: its runtime (wasm-rt.h), and as much of WASI as the
   suite's programs ask for. Accesses out of bounds are caught by the guard behind the memory, as in wasm2c's own
   runtime, and end the process. `wasm_glue.h` is generated: the names that this version of wasm2c gives things. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>

#include "wasm-rt.h"
#include "wasm_glue.h"

enum { PAGE = 65536, MAX_TYPES = 4096, MAX_SHAPE = 64 };
enum { SUCCESS = 0, BAD_DESCRIPTOR = 8, FAILED = 29, NO_SEEK = 70 };
enum { ROOM_GIB = 8 };

static wasm_rt_memory_t *memory;
static int argument_count;
static char **argument_values;

long __tmebox_syscall(long number, const long arguments[6]);

/* -- the runtime ---------------------------------------------------------------------------------------- */

void wasm_rt_trap(wasm_rt_trap_t trap)
{
	fprintf(stderr, "WebAssembly trap %d\n", (int)trap);
	exit(134);
}

void wasm_rt_init(void)
{
}

bool wasm_rt_is_initialized(void)
{
	return true;
}

void wasm_rt_free(void)
{
}

/* Equal signatures have equal numbers, from 1. */
uint32_t wasm_rt_register_func_type(uint32_t parameters, uint32_t results, ...)
{
	static uint8_t shapes[MAX_TYPES][MAX_SHAPE];
	static uint32_t count;
	uint8_t shape[MAX_SHAPE] = {(uint8_t)parameters, (uint8_t)results};
	va_list list;
	if (parameters + results + 2 > MAX_SHAPE || count == MAX_TYPES) abort();
	va_start(list, results);
	for (uint32_t i = 0; i < parameters + results; i++) shape[2 + i] = (uint8_t)(1 + va_arg(list, int));
	va_end(list);
	for (uint32_t i = 0; i < count; i++)
		if (memcmp(shapes[i], shape, sizeof shape) == 0) return i + 1;
	memcpy(shapes[count], shape, sizeof shape);
	return ++count;
}

static long host_call(long number, long a, long b, long c, long d)
{
	return __tmebox_syscall(number, (const long[6]){a, b, c, d, -1, 0});
}

static void open_up(wasm_rt_memory_t *self, uint32_t pages)
{
	if (host_call(SYS_mprotect, (long)self->data, (long)pages * PAGE, PROT_READ | PROT_WRITE, 0) != 0) abort();
	self->pages = pages;
	self->size = pages * PAGE;
}

/* 32 bits of address and 32 of displacement reach 8 GiB. */
void wasm_rt_allocate_memory(wasm_rt_memory_t *self, uint32_t pages, uint32_t max_pages)
{
	long flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
	long at = host_call(SYS_mmap, 0, (long)ROOM_GIB << 30, PROT_NONE, flags);
	if (at < 0 && at > -4096) abort();
	self->data = (uint8_t *)at;
	self->max_pages = max_pages < PAGE ? max_pages : PAGE - 1;
	open_up(self, pages);
	memory = self;
}

uint32_t wasm_rt_grow_memory(wasm_rt_memory_t *self, uint32_t more)
{
	uint32_t before = self->pages;
	if (more > self->max_pages - before) return UINT32_MAX;
	if (more != 0) open_up(self, before + more);
	return before;
}

void wasm_rt_free_memory(wasm_rt_memory_t *self)
{
	(void)self;
}

void wasm_rt_allocate_funcref_table(wasm_rt_funcref_table_t *self, uint32_t size, uint32_t max_size)
{
	self->data = calloc(size, sizeof *self->data);
	if (size != 0 && self->data == NULL) abort();
	self->size = size;
	self->max_size = max_size;
}

void wasm_rt_free_funcref_table(wasm_rt_funcref_table_t *self)
{
	free(self->data);
}

/* -- WASI ------------------------------------------------------------------------------------------------- */

/* `size` bytes of the program's memory at `at`. */
static void *place(uint32_t at, uint64_t size)
{
	if (at + size > memory->size) wasm_rt_trap(WASM_RT_TRAP_OOB);
	return memory->data + at;
}

static uint32_t get(uint32_t at)
{
	uint32_t value;
	memcpy(&value, place(at, sizeof value), sizeof value);
	return value;
}

static void put(uint32_t at, uint64_t value, size_t size)
{
	memcpy(place(at, size), &value, size);
}

uint32_t wasi_args_sizes_get(uint32_t count_at, uint32_t size_at)
{
	uint32_t size = 0;
	for (int i = 0; i < argument_count; i++) size += (uint32_t)strlen(argument_values[i]) + 1;
	put(count_at, (uint64_t)argument_count, 4);
	put(size_at, size, 4);
	return SUCCESS;
}

uint32_t wasi_args_get(uint32_t pointers_at, uint32_t text_at)
{
	for (int i = 0; i < argument_count; i++) {
		size_t size = strlen(argument_values[i]) + 1;
		put(pointers_at + 4 * (uint32_t)i, text_at, 4);
		memcpy(place(text_at, size), argument_values[i], size);
		text_at += (uint32_t)size;
	}
	return SUCCESS;
}

uint32_t wasi_environ_sizes_get(uint32_t count_at, uint32_t size_at)
{
	put(count_at, 0, 4);
	put(size_at, 0, 4);
	return SUCCESS;
}

uint32_t wasi_environ_get(uint32_t pointers_at, uint32_t text_at)
{
	(void)pointers_at, (void)text_at;
	return SUCCESS;
}

uint32_t wasi_fd_write(uint32_t descriptor, uint32_t pieces_at, uint32_t count, uint32_t written_at)
{
	uint32_t written = 0;
	if (descriptor != 1 && descriptor != 2) return BAD_DESCRIPTOR;
	for (uint32_t i = 0; i < count; i++) {
		uint32_t at = get(pieces_at + 8 * i), size = get(pieces_at + 8 * i + 4);
		for (uint32_t done = 0; done < size;) {
			long got = host_call(SYS_write, descriptor, (long)place(at + done, size - done), size - done, 0);
			if (got <= 0) return FAILED;
			done += (uint32_t)got;
		}
		written += size;
	}
	put(written_at, written, 4);
	return SUCCESS;
}

uint32_t wasi_fd_close(uint32_t descriptor)
{
	return descriptor <= 2 ? SUCCESS : BAD_DESCRIPTOR;
}

/* A character device that may be written, for the standard streams. */
uint32_t wasi_fd_fdstat_get(uint32_t descriptor, uint32_t at)
{
	if (descriptor > 2) return BAD_DESCRIPTOR;
	memset(place(at, 24), 0, 24);
	put(at, 2, 1);
	put(at + 8, UINT64_MAX, 8);
	return SUCCESS;
}

uint32_t wasi_fd_seek(uint32_t descriptor, uint64_t offset, uint32_t whence, uint32_t at)
{
	(void)offset, (void)whence, (void)at;
	return descriptor <= 2 ? NO_SEEK : BAD_DESCRIPTOR;
}

uint32_t wasi_fd_prestat_get(uint32_t descriptor, uint32_t at)
{
	(void)descriptor, (void)at;
	return BAD_DESCRIPTOR;
}

uint32_t wasi_clock_time_get(uint32_t clock, uint64_t precision, uint32_t at)
{
	struct timespec now;
	(void)precision;
	clock_gettime(clock == 0 ? CLOCK_REALTIME : CLOCK_MONOTONIC, &now);
	put(at, (uint64_t)now.tv_sec * 1000000000U + (uint64_t)now.tv_nsec, 8);
	return SUCCESS;
}

uint32_t wasi_random_get(uint32_t at, uint32_t size)
{
	memset(place(at, size), 42, size); /* programs whose outputs are compared use no random numbers */
	return SUCCESS;
}

void wasi_proc_exit(uint32_t code)
{
	exit((int)code);
}

int main(int count, char **values)
{
	argument_count = count;
	argument_values = values;
	wasm_glue_run();
	return 0;
}
