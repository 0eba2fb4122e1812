/* What the assembly of this folder shares: where the activation is, and the states of the CPU that neither side may
 * learn or leave behind.
 *
 * %fs is the host's throughout (verified code cannot touch it), so the activation is found through
 * thread-local storage, never through a register or memory that sandboxed code could have changed.
 */
#ifndef TMEBOX_ASSEMBLY_H
#define TMEBOX_ASSEMBLY_H

#include "enter/activation.h"

/* All but the six sticky flags, which a sandbox may see: that some earlier result was inexact is no secret.
 * Writing MXCSR with another value stops some CPUs for 15 ns, so on the way in it is not done for their sake.
 * Reading it takes others 4 ns, so on the way out the host's is written without looking: mostly the same. */
#define MXCSR_CONTROL 0xffc0

#define DEFAULT_X87 0x37f

    .macro get_activation register
    movq tmebox_thread@gottpoff(%rip), \register
    movq %fs:(\register), \register
    movq THREAD_CURRENT(\register), \register
    .endm

    .macro function name
    .globl \name
    .hidden \name
    .type \name, @function
    .balign 32
\name:
    .endm

    .macro end_function name
    .size \name, . - \name
    .endm

    /* Clears every vector register that some loaded module could read. Those of AVX-512 none can, but while they
     * hold numbers, as C libraries leave them, fewer are left for renaming the others: Jacobi's relaxation took
     * 4 % longer on a Zen 4 class CPU. Clobbers ecx and flags. */
    .macro clear_vectors activation
    movl ACTIVATION_POLICY(\activation), %ecx
    testb $POLICY_AVX, %cl
    je 1f
    /* Upper halves become zero with a 128-bit VEX write. A quarter of what vzeroall costs; vzeroupper first,
     * for CPUs that remember whether upper halves are in use. */
    vzeroupper
    .irp n, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15
    vpxor %xmm\n, %xmm\n, %xmm\n
    .endr
    testb $POLICY_AVX512, %cl
    je 2f
    .irp n, 16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31
    vpxord %xmm\n, %xmm\n, %xmm\n
    .endr
    .irp n, 0,1,2,3,4,5,6,7
    kxorw %k\n, %k\n, %k\n
    .endr
    jmp 2f
1:
    .irp n, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15
    xorps %xmm\n, %xmm\n
    .endr
2:
    .endm

    /* An empty x87 stack, with nothing in it. Marking registers empty is not enough: fxam tells the sign of what
     * an empty one still holds. MMX writes the whole register, its sign too, and makes the top 0; it takes no
     * longer than eight ffree. No exception may be pending: it would be raised here. */
    .macro clear_x87
    .irp n, 0,1,2,3,4,5,6,7
    pxor %mm\n, %mm\n
    .endr
    emms
    .endm

    /* Host floating-point control but for MXCSR, whatever the sandbox left: an empty x87 stack, no exception
     * flagged (one would kill a host that unmasks it later), the host's x87 control word. fninit is slow, and
     * mostly there is nothing to do. Before some text has x87 instructions, nothing can be flagged: looking at
     * that here, and not when the sandbox was entered, includes texts that were loaded meanwhile. Clobbers eax
     * and flags; sets DF to 0. */
    .macro restore_host_control activation
    cmpb $0, tmebox_x87_expected(%rip)
    je 7f
    fnstsw %ax                          /* 5 ns, and nothing cheaper tells what is flagged */
    testw %ax, %ax
7:
    fnstcw ACTIVATION_SANDBOX_X87(\activation) /* keeps EFLAGS */
    jne 8f
    movzwl ACTIVATION_HOST_X87(\activation), %eax
    cmpw %ax, ACTIVATION_SANDBOX_X87(\activation)
    jne 8f
    emms                                /* eight pushes leave a zero status word and a full stack */
    jmp 1f
8:
    fninit
    fldcw ACTIVATION_HOST_X87(\activation)
1:
    testb $POLICY_AVX, ACTIVATION_POLICY(\activation)
    je 1f
    vzeroupper
1:
    cld                                 /* verified code cannot set it: costs little, and C relies on it */
    .endm

#endif
