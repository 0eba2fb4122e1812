/* Arithmetic that traps, and floating-point state that must not follow the host home. */
#include <limits.h>

int alive(void) { return 42; }

int divide(int a, int b) { volatile int x = a, y = b; return x / y; }
long divide_long(long a, long b) { volatile long x = a, y = b; return x % y; }
__attribute__((naked)) int divide_with_huge_quotient(void) {
  __asm__("movl $1, %edx\n xorl %eax, %eax\n movl $1, %ecx\n divl %ecx\n ret");
}

static void set_mxcsr(unsigned value) { __asm__ volatile("ldmxcsr %0" : : "m"(value)); }
static void set_control_word(unsigned short value) { __asm__ volatile("fldcw %0" : : "m"(value)); }

double divide_unmasked(double a, double b) {
  set_mxcsr(0);
  volatile double x = a, y = b;
  return x / y;
}

int reserved_mxcsr_bits(void) { set_mxcsr(0xffffffff); return 1; }

/* Round up, flush to zero, denormals are zero. */
int leave_mxcsr_changed(void) { set_mxcsr(0x1f80 | 0x8040 | 0x4000); return 1; }
int leave_exceptions_unmasked(void) { set_mxcsr(0); return 1; }

long double leave_x87_rounding_changed(void) { set_control_word(0x0c7f); volatile long double x = 1.0L; return x / 3; }
int leave_x87_stack_full(void) {
  __asm__ volatile("fld1\n fld1\n fld1\n fld1\n fld1\n fld1\n fld1\n fld1");
  return 1;
}
int leave_x87_exception_pending(void) {
  __asm__ volatile("fnclex"); /* what the host flagged would be raised at once */
  set_control_word(0x0340);
  __asm__ volatile("fld1\n fldz\n fdivrp %st, %st(1)");
  return 1;
}
long double trap_in_x87(void) {
  set_control_word(0x0340);
  volatile long double zero = 0;
  volatile long double x = 1 / zero;
  return x + 1;
}

int illegal(void) { __asm__ volatile("ud2"); return 1; }
int builtin_trap(void) { __builtin_trap(); }
int breakpoint(void) { __asm__ volatile("int3"); return 1; }
int halt(void) { __asm__ volatile("hlt"); return 1; }
int unreachable_end(int x) { if (x) __builtin_unreachable(); return 1; }
