/* The floating-point environment, in SSE's MXCSR and x87's control and status words.

   fldenv and fnstenv are not allowed in a sandbox (they carry addresses), so the environment is kept from
   fnstcw, fnstsw and stmxcsr, and restored with fldcw, fnclex and ldmxcsr. x87 exception flags cannot be set
   without fldenv: restored ones go to MXCSR, where fetestexcept() finds them all the same. */
#include <fenv.h>

enum {
	FLAGS = FE_ALL_EXCEPT,
	ROUNDING = FE_TOWARDZERO,
	MXCSR_ROUNDING_SHIFT = 3,
	MXCSR_DEFAULT = 0x1f80,
	CONTROL_DEFAULT = 0x37f,
};

static unsigned mxcsr(void)
{
	unsigned value;
	__asm__ __volatile__("stmxcsr %0" : "=m"(value));
	return value;
}

static void set_mxcsr(unsigned value)
{
	__asm__ __volatile__("ldmxcsr %0" : : "m"(value));
}

static unsigned short control(void)
{
	unsigned short value;
	__asm__ __volatile__("fnstcw %0" : "=m"(value));
	return value;
}

static void set_control(unsigned short value)
{
	__asm__ __volatile__("fldcw %0" : : "m"(value));
}

static unsigned short status(void)
{
	unsigned short value;
	__asm__ __volatile__("fnstsw %0" : "=a"(value));
	return value;
}

static void clear_status(void)
{
	__asm__ __volatile__("fnclex");
}

/* x87 flags can only be cleared together: those that stay move to MXCSR. */
int feclearexcept(int mask)
{
	unsigned flags = (mxcsr() | status()) & FLAGS & ~(unsigned)mask;
	clear_status();
	set_mxcsr((mxcsr() & ~(unsigned)FLAGS) | flags);
	return 0;
}

int feraiseexcept(int mask)
{
	set_mxcsr(mxcsr() | ((unsigned)mask & FLAGS));
	return 0;
}

int fetestexcept(int mask)
{
	return (int)((mxcsr() | status()) & FLAGS & (unsigned)mask);
}

int fegetround(void)
{
	return (int)(mxcsr() >> MXCSR_ROUNDING_SHIFT & ROUNDING);
}

__attribute__((__visibility__("hidden"))) int __fesetround(int rounding)
{
	set_control((unsigned short)((control() & ~ROUNDING) | rounding));
	set_mxcsr((mxcsr() & ~((unsigned)ROUNDING << MXCSR_ROUNDING_SHIFT)) | (unsigned)rounding << MXCSR_ROUNDING_SHIFT);
	return 0;
}

int fegetenv(fenv_t *environment)
{
	*environment = (fenv_t){ .__control_word = control(), .__status_word = status(), .__mxcsr = mxcsr() };
	return 0;
}

int fesetenv(const fenv_t *environment)
{
	static const fenv_t initial = { .__control_word = CONTROL_DEFAULT, .__mxcsr = MXCSR_DEFAULT };
	if (environment == FE_DFL_ENV) environment = &initial;
	clear_status();
	set_control(environment->__control_word);
	set_mxcsr(environment->__mxcsr | (environment->__status_word & FLAGS));
	return 0;
}
