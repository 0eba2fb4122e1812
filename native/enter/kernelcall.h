/* The host's system calls, without what its C library does around them: errno, and making itself ready for threads that
 * are cancelled, which costs locked instructions. They return what the kernel does: a result, or -errno. */
#ifndef TMEBOX_KERNELCALL_H
#define TMEBOX_KERNELCALL_H

#include <sys/syscall.h>

static inline long tmebox_kernel_call6(long number, long a, long b, long c, long d, long e, long f) {
    register long fourth __asm__("r10") = d, fifth __asm__("r8") = e, sixth __asm__("r9") = f;
    long result;
    __asm__ volatile("syscall"
                     : "=a"(result)
                     : "0"(number), "D"(a), "S"(b), "d"(c), "r"(fourth), "r"(fifth), "r"(sixth)
                     : "rcx", "r11", "memory");
    return result;
}

static inline long tmebox_kernel_call4(long number, long a, long b, long c, long d) {
    register long fourth __asm__("r10") = d;
    long result;
    __asm__ volatile("syscall"
                     : "=a"(result)
                     : "0"(number), "D"(a), "S"(b), "d"(c), "r"(fourth)
                     : "rcx", "r11", "memory");
    return result;
}

#endif
