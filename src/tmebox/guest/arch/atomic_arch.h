/* Atomics of threads that take turns. libc's own locks and counters are never in memory that another sandbox can reach,
   and a turn ends between two instructions, so each of these is one instruction, without `lock`. Clobbering memory keeps
   the compiler from moving other accesses across, which code written for real atomics may count on.

   A compare-and-swap is what all locks begin with. So where nothing interrupts threads, it is where a turn that has lasted
   too long ends: see kernel/turn.c. */
#define TMEBOX_FENCE() __asm__ __volatile__("" : : : "memory")

extern __attribute__((__visibility__("hidden"))) int __tmebox_turn_left;
__attribute__((__visibility__("hidden"))) void __tmebox_turn_over(void);

#define a_cas a_cas
static inline int a_cas(volatile int *p, int t, int s)
{
	if (__builtin_expect(--__tmebox_turn_left < 0, 0)) __tmebox_turn_over();
	__asm__ __volatile__("cmpxchgl %2, %1" : "+a"(t), "+m"(*p) : "r"(s) : "memory", "cc");
	return t;
}

#define a_cas_p a_cas_p
static inline void *a_cas_p(volatile void *p, void *t, void *s)
{
	__asm__ __volatile__("cmpxchgq %2, %1" : "+a"(t), "+m"(*(void *volatile *)p) : "r"(s) : "memory", "cc");
	return t;
}

#define a_swap a_swap
static inline int a_swap(volatile int *p, int v)
{
	_Bool swapped;
	int old = *p; /* `xchg` is locked, whoever wants that */
	do __asm__ __volatile__("cmpxchgl %3, %1" : "+a"(old), "+m"(*p), "=@ccz"(swapped) : "r"(v) : "memory");
	while (!swapped);
	return old;
}

#define a_fetch_add a_fetch_add
static inline int a_fetch_add(volatile int *p, int v)
{
	__asm__ __volatile__("xaddl %0, %1" : "+r"(v), "+m"(*p) : : "memory", "cc");
	return v;
}

#define a_and a_and
static inline void a_and(volatile int *p, int v)
{
	__asm__ __volatile__("andl %1, %0" : "+m"(*p) : "ir"(v) : "memory", "cc");
}

#define a_or a_or
static inline void a_or(volatile int *p, int v)
{
	__asm__ __volatile__("orl %1, %0" : "+m"(*p) : "ir"(v) : "memory", "cc");
}

#define a_and_64 a_and_64
static inline void a_and_64(volatile uint64_t *p, uint64_t v)
{
	__asm__ __volatile__("andq %1, %0" : "+m"(*p) : "er"(v) : "memory", "cc");
}

#define a_or_64 a_or_64
static inline void a_or_64(volatile uint64_t *p, uint64_t v)
{
	__asm__ __volatile__("orq %1, %0" : "+m"(*p) : "er"(v) : "memory", "cc");
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
