/* A program that asks for a clock, which the core answers without exchanging the floating-point state, in states that
   nobody expects. Its status is 0 if it got an answer and has its state as it was. */
#include <string.h>
#include <time.h>

static int is_answered(void)
{
	struct timespec now = {0, 0};
	return clock_gettime(CLOCK_MONOTONIC, &now) == 0 && now.tv_sec > 0;
}

static int with_exceptions_unmasked(void)
{
	unsigned before = 0x8040, after = 0; /* flush to zero, denormals are zero, nothing masked */
	__asm__ volatile("ldmxcsr %0" : : "m"(before));
	int answered = is_answered();
	__asm__ volatile("stmxcsr %0" : "=m"(after));
	return answered && after == before;
}

static int with_x87_stack_full(void)
{
	long double sum = 0;
	__asm__ volatile("fninit\n fld1\n fld1\n fld1\n fld1\n fld1\n fld1\n fld1\n fld1");
	int answered = is_answered();
	__asm__ volatile("faddp\n faddp\n faddp\n faddp\n faddp\n faddp\n faddp\n fstpt %0" : "=m"(sum));
	return answered && sum == 8;
}

static int with_x87_exception_pending(void)
{
	unsigned short word = 0x0340;
	__asm__ volatile("fnclex\n fldcw %0\n fld1\n fldz\n fdivrp %%st, %%st(1)" : : "m"(word));
	int answered = is_answered();
	__asm__ volatile("fninit");
	return answered;
}

int main(int argc, char **argv)
{
	if (argc != 2) return 2;
	if (strcmp(argv[1], "mxcsr") == 0) return !with_exceptions_unmasked();
	if (strcmp(argv[1], "full") == 0) return !with_x87_stack_full();
	if (strcmp(argv[1], "pending") == 0) return !with_x87_exception_pending();
	return 2;
}
