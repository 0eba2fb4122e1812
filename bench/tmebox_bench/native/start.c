/* What stands in for a sandbox where a benchmark runs natively: the guest libc, compiled without instrumentation,
   finds a control page and a heap below 4 GiB, and its host calls are Linux system calls.

   The program's CPU time, from just before its constructors and main() to its exit, goes to the file descriptor
   named by TMEBOX_BENCH_FD, as 8 bytes: nanoseconds of this thread. */
#include <elf.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>

#include "abi.h"

#define HIDDEN __attribute__((__visibility__("hidden")))

enum { HEAP_START = 0x10000000, HEAP_SIZE = 0x60000000, FAILED = 120 };

static long started_ns;
static int report_fd = -1;

_Noreturn void __tmebox_start(long *block);

static long linux_call(long number, long a, long b, long c, long d, long e, long f)
{
	register long r10 __asm__("r10") = d;
	register long r8 __asm__("r8") = e;
	register long r9 __asm__("r9") = f;
	long result;
	__asm__ volatile("syscall"
			 : "=a"(result)
			 : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
			 : "rcx", "r11", "memory");
	return result;
}

static long thread_cpu_ns(void)
{
	struct timespec now;
	linux_call(SYS_clock_gettime, CLOCK_THREAD_CPUTIME_ID, (long)&now, 0, 0, 0, 0);
	return now.tv_sec * 1000000000L + now.tv_nsec;
}

static void report(void)
{
	long spent_ns = thread_cpu_ns() - started_ns;
	if (report_fd >= 0) linux_call(SYS_write, report_fd, (long)&spent_ns, sizeof spent_ns, 0, 0, 0);
}

/* The core answers in two registers. Only the time takes both: seconds and nanoseconds. */
struct answer {
	long rax, rdx;
};

static struct answer time_of(long clock)
{
	struct timespec now;
	long failed = linux_call(SYS_clock_gettime, clock, (long)&now, 0, 0, 0, 0);
	return failed ? (struct answer){ -1, 0 } : (struct answer){ now.tv_sec, now.tv_nsec };
}

struct answer __tmebox_syscall(long number, const long arguments[6])
{
	if (number == TMEBOX_SYS_CLOCK) return time_of((long)arguments);
	if ((number & ~0xfffL) == TMEBOX_SYS_DIRECT) return (struct answer){ 0, 1 }; /* asked for again, in memory */
	if (number == SYS_exit || number == SYS_exit_group) report();
	if (number == TMEBOX_SYS_MEMORY_EXHAUSTED || number == TMEBOX_SYS_ASSERTION_FAILED || number == TMEBOX_SYS_ABORT_MESSAGE) return (struct answer){ 0, 0 };
	return (struct answer){ linux_call(number, arguments[0], arguments[1], arguments[2], arguments[3], arguments[4], arguments[5]), 0 };
}

#ifdef __PIE__
extern HIDDEN const Elf64_Dyn _DYNAMIC[];
extern HIDDEN const char __ehdr_start[];

/* A static PIE relocates itself, before anything that needs it. */
static void relocate(void)
{
	unsigned long base = (unsigned long)__ehdr_start, table = 0, size = 0;
	for (const Elf64_Dyn *entry = _DYNAMIC; entry->d_tag != DT_NULL; entry++) {
		if (entry->d_tag == DT_RELA) table = base + entry->d_un.d_ptr;
		if (entry->d_tag == DT_RELASZ) size = entry->d_un.d_val;
	}
	for (unsigned long at = table; at < table + size; at += sizeof(Elf64_Rela)) {
		const Elf64_Rela *item = (const Elf64_Rela *)at;
		*(unsigned long *)(base + item->r_offset) = base + (unsigned long)item->r_addend;
	}
}
#else
static void relocate(void)
{
}
#endif

static void map(unsigned long start, unsigned long size)
{
	int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE;
	long got = linux_call(SYS_mmap, start, size, PROT_READ | PROT_WRITE, flags, -1, 0);
	if (got != (long)start) linux_call(SYS_exit_group, FAILED, 0, 0, 0, 0, 0);
}

static void find_report_fd(char *const *environment)
{
	static const char name[] = "TMEBOX_BENCH_FD=";
	for (; *environment; environment++) {
		if (strncmp(*environment, name, sizeof name - 1)) continue;
		report_fd = 0;
		for (const char *digit = *environment + sizeof name - 1; *digit; digit++)
			report_fd = report_fd * 10 + (*digit - '0');
	}
}

/* And that the kernel keeps its registers. */
static int has_avx2(void)
{
	enum { OSXSAVE = 1 << 27, AVX = 1 << 28, AVX2 = 1 << 5, SSE_AND_YMM = 6 };
	unsigned eax = 1, ebx, ecx = 0, edx;
	__asm__("cpuid" : "+a"(eax), "=b"(ebx), "+c"(ecx), "=d"(edx));
	if (~ecx & (OSXSAVE | AVX)) return 0;
	__asm__("xgetbv" : "=a"(eax), "=d"(edx) : "c"(0));
	if (~eax & SSE_AND_YMM) return 0;
	eax = 7, ecx = 0;
	__asm__("cpuid" : "+a"(eax), "=b"(ebx), "+c"(ecx), "=d"(edx));
	return ebx & AVX2;
}

HIDDEN _Noreturn void tmebox_native_start(long *block)
{
	relocate();
	map(TMEBOX_CONTROL_PAGE, TMEBOX_PAGE_SIZE);
	map(HEAP_START, HEAP_SIZE);
	*(unsigned long *)TMEBOX_CONTROL_HEAP_START = HEAP_START;
	*(unsigned long *)TMEBOX_CONTROL_PROCESSOR = has_avx2() ? TMEBOX_PROCESSOR_AVX2 : 0; /* as in a sandbox */
	*(unsigned long *)TMEBOX_CONTROL_HEAP_END = (unsigned long)HEAP_START + HEAP_SIZE;
	find_report_fd((char *const *)(block + 1 + block[0] + 1));
	started_ns = thread_cpu_ns();
	__tmebox_start(block);
}

/* noreturn void _start(void): where the kernel enters; rsp is the only argument. */
__asm__(".text\n"
	".globl _start\n"
	".type _start, @function\n"
	"_start:\n"
	"	xorl %ebp, %ebp\n"
	"	movq %rsp, %rdi\n"
	"	andq $-16, %rsp\n"
	"	call tmebox_native_start\n"
	"	ud2\n"
	".size _start, .-_start\n");
