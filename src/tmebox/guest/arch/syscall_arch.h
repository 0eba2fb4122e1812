/* musl's system calls, sandboxed: one C function decides what is answered inside and what asks the host. */
#define __SYSCALL_LL_E(x) (x)
#define __SYSCALL_LL_O(x) (x)

__attribute__((__visibility__("hidden"))) long __tmebox_kernel(long number, long a, long b, long c, long d, long e,
                                                               long f);

static inline long __syscall0(long n)
{
	return __tmebox_kernel(n, 0, 0, 0, 0, 0, 0);
}

static inline long __syscall1(long n, long a)
{
	return __tmebox_kernel(n, a, 0, 0, 0, 0, 0);
}

static inline long __syscall2(long n, long a, long b)
{
	return __tmebox_kernel(n, a, b, 0, 0, 0, 0);
}

static inline long __syscall3(long n, long a, long b, long c)
{
	return __tmebox_kernel(n, a, b, c, 0, 0, 0);
}

static inline long __syscall4(long n, long a, long b, long c, long d)
{
	return __tmebox_kernel(n, a, b, c, d, 0, 0);
}

static inline long __syscall5(long n, long a, long b, long c, long d, long e)
{
	return __tmebox_kernel(n, a, b, c, d, e, 0);
}

static inline long __syscall6(long n, long a, long b, long c, long d, long e, long f)
{
	return __tmebox_kernel(n, a, b, c, d, e, f);
}

#define IPC_64 0
