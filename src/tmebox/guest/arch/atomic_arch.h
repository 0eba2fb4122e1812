/* Atomics of threads that take turns. libc's own locks and counters are never in memory that another sandbox can reach,
   and a turn ends in calls only, so plain C is atomic enough. The empty asm keeps the compiler from
   moving other accesses across, which code written for real atomics may count on.

   A compare-and-swap is what all locks begin with. So it is where a turn that has lasted too long ends: see
   kernel/turn.c. */
#define TMEBOX_FENCE() __asm__ __volatile__("" : : : "memory")

extern __attribute__((__visibility__("hidden"))) int __tmebox_turn_left;
__attribute__((__visibility__("hidden"))) void __tmebox_turn_over(void);

#define a_cas a_cas
static inline int a_cas(volatile int *p, int t, int s)
{
	if (__builtin_expect(--__tmebox_turn_left < 0, 0)) __tmebox_turn_over();
	TMEBOX_FENCE();
	int old = *p;
	if (old == t) *p = s;
	TMEBOX_FENCE();
	return old;
}

#define a_cas_p a_cas_p
static inline void *a_cas_p(volatile void *p, void *t, void *s)
{
	TMEBOX_FENCE();
	void *volatile *cell = (void *volatile *)p;
	void *old = *cell;
	if (old == t) *cell = s;
	TMEBOX_FENCE();
	return old;
}

#define a_swap a_swap
static inline int a_swap(volatile int *p, int v)
{
	TMEBOX_FENCE();
	int old = *p;
	*p = v;
	TMEBOX_FENCE();
	return old;
}

#define a_fetch_add a_fetch_add
static inline int a_fetch_add(volatile int *p, int v)
{
	TMEBOX_FENCE();
	int old = *p;
	*p = (int)((unsigned)old + (unsigned)v);
	TMEBOX_FENCE();
	return old;
}

#define a_and a_and
static inline void a_and(volatile int *p, int v)
{
	TMEBOX_FENCE();
	*p &= v;
	TMEBOX_FENCE();
}

#define a_or a_or
static inline void a_or(volatile int *p, int v)
{
	TMEBOX_FENCE();
	*p |= v;
	TMEBOX_FENCE();
}

#define a_and_64 a_and_64
static inline void a_and_64(volatile uint64_t *p, uint64_t v)
{
	TMEBOX_FENCE();
	*p &= v;
	TMEBOX_FENCE();
}

#define a_or_64 a_or_64
static inline void a_or_64(volatile uint64_t *p, uint64_t v)
{
	TMEBOX_FENCE();
	*p |= v;
	TMEBOX_FENCE();
}

#define a_store a_store
static inline void a_store(volatile int *p, int x)
{
	TMEBOX_FENCE();
	*p = x;
	TMEBOX_FENCE();
}

#define a_barrier a_barrier
static inline void a_barrier(void)
{
	TMEBOX_FENCE();
}

#define a_spin a_spin
static inline void a_spin(void)
{
	TMEBOX_FENCE();
}

/* hlt, which musl uses, is how this sandbox marks control-flow violations; ud2 is an illegal instruction. */
#define a_crash a_crash
__attribute__((__noreturn__)) static inline void a_crash(void)
{
	__builtin_trap();
}

#define a_ctz_64 a_ctz_64
static inline int a_ctz_64(uint64_t x)
{
	return __builtin_ctzll(x);
}

#define a_clz_64 a_clz_64
static inline int a_clz_64(uint64_t x)
{
	return __builtin_clzll(x);
}
