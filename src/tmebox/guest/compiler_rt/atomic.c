/* Atomics on objects that the hardware has no single instruction for (sizes other than 1, 2, 4, 8). A sandbox runs one
   thread at a time, whose turn does not end in here, so plain copies are atomic within it; they are not towards another
   sandbox that shares the line. */
#include <stddef.h>
#include <string.h>

/* Of the C library, if that is there: what its kernel.h says begins with this. */
extern __attribute__((__weak__, __visibility__("hidden"))) struct kept {
	volatile unsigned long keeps_turn;
} __tmebox_kept;

static inline void keep_turn(void)
{
	if (&__tmebox_kept) __asm__ __volatile__("incq %0" : "+m"(__tmebox_kept.keeps_turn) : : "memory", "cc");
}

static inline void release_turn(void)
{
	if (&__tmebox_kept) __asm__ __volatile__("decq %0" : "+m"(__tmebox_kept.keeps_turn) : : "memory", "cc");
}

void tmebox_atomic_load(size_t size, const void *from, void *to, int order) __asm__("__atomic_load");
void tmebox_atomic_store(size_t size, void *to, const void *from, int order) __asm__("__atomic_store");
void tmebox_atomic_exchange(size_t size, void *object, const void *value, void *old, int order) __asm__("__atomic_exchange");
int tmebox_atomic_compare_exchange(size_t size, void *object, void *expected, const void *desired, int success,
                                   int failure) __asm__("__atomic_compare_exchange");

void tmebox_atomic_load(size_t size, const void *from, void *to, int order)
{
	(void)order;
	keep_turn();
	memcpy(to, from, size);
	release_turn();
}

void tmebox_atomic_store(size_t size, void *to, const void *from, int order)
{
	(void)order;
	keep_turn();
	memcpy(to, from, size);
	release_turn();
}

void tmebox_atomic_exchange(size_t size, void *object, const void *value, void *old, int order)
{
	(void)order;
	keep_turn();
	memcpy(old, object, size);
	memcpy(object, value, size);
	release_turn();
}

int tmebox_atomic_compare_exchange(size_t size, void *object, void *expected, const void *desired, int success, int failure)
{
	(void)success, (void)failure;
	keep_turn();
	int same = memcmp(object, expected, size) == 0;
	if (same) memcpy(object, desired, size);
	else memcpy(expected, object, size);
	release_turn();
	return same;
}

typedef unsigned __int128 u128;

#define SIZED(name) __asm__("__atomic_" name "_16")

u128 tmebox_atomic_load_16(const u128 *from, int order) SIZED("load");
void tmebox_atomic_store_16(u128 *to, u128 value, int order) SIZED("store");
u128 tmebox_atomic_exchange_16(u128 *object, u128 value, int order) SIZED("exchange");
_Bool tmebox_atomic_compare_exchange_16(u128 *object, u128 *expected, u128 desired, int success, int failure)
	SIZED("compare_exchange");

u128 tmebox_atomic_load_16(const u128 *from, int order)
{
	(void)order;
	keep_turn();
	u128 value = *from;
	release_turn();
	return value;
}

void tmebox_atomic_store_16(u128 *to, u128 value, int order)
{
	(void)order;
	keep_turn();
	*to = value;
	release_turn();
}

u128 tmebox_atomic_exchange_16(u128 *object, u128 value, int order)
{
	(void)order;
	keep_turn();
	u128 old = *object;
	*object = value;
	release_turn();
	return old;
}

_Bool tmebox_atomic_compare_exchange_16(u128 *object, u128 *expected, u128 desired, int success, int failure)
{
	(void)success, (void)failure;
	keep_turn();
	u128 old = *object;
	_Bool same = old == *expected;
	if (same) *object = desired;
	*expected = old;
	release_turn();
	return same;
}

#define FETCH(name, expression)                                                              \
	u128 tmebox_atomic_fetch_##name##_16(u128 *object, u128 value, int order) SIZED("fetch_" #name); \
	u128 tmebox_atomic_fetch_##name##_16(u128 *object, u128 value, int order)            \
	{                                                                                    \
		(void)order;                                                                 \
		keep_turn();                                                                 \
		u128 old = *object;                                                          \
		*object = (expression);                                                      \
		release_turn();                                                              \
		return old;                                                                  \
	}

FETCH(add, old + value)
FETCH(sub, old - value)
FETCH(and, old & value)
FETCH(or, old | value)
FETCH(xor, old ^ value)
FETCH(nand, ~(old & value))

/* What gcc calls for __sync_…: all of these are barriers as well. */
#define SYNC(name) __asm__("__sync_" name "_16")
#define FETCH_AND(name, expression)                                              \
	u128 tmebox_sync_##name##_16(u128 *object, u128 value) SYNC(#name);      \
	u128 tmebox_sync_##name##_16(u128 *object, u128 value)                   \
	{                                                                        \
		keep_turn();                                                     \
		u128 old = *object;                                              \
		*object = (expression);                                          \
		release_turn();                                                  \
		return old;                                                      \
	}

FETCH_AND(fetch_and_add, old + value)
FETCH_AND(fetch_and_sub, old - value)
FETCH_AND(fetch_and_and, old & value)
FETCH_AND(fetch_and_or, old | value)
FETCH_AND(fetch_and_xor, old ^ value)
FETCH_AND(fetch_and_nand, ~(old & value))
FETCH_AND(lock_test_and_set, value)

u128 tmebox_sync_compare_16(u128 *object, u128 expected, u128 desired) SYNC("val_compare_and_swap");
_Bool tmebox_sync_compare_bool_16(u128 *object, u128 expected, u128 desired) SYNC("bool_compare_and_swap");

u128 tmebox_sync_compare_16(u128 *object, u128 expected, u128 desired)
{
	keep_turn();
	u128 old = *object;
	if (old == expected) *object = desired;
	release_turn();
	return old;
}

_Bool tmebox_sync_compare_bool_16(u128 *object, u128 expected, u128 desired)
{
	return tmebox_sync_compare_16(object, expected, desired) == expected;
}
