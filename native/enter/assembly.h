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
 * Reading it takes others 4 ns, so on the way out, and back from a host function, which may have changed it, it is
 * written without looking: mostly the same. */
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
     * 4 % longer on a Zen 4 class CPU. Clobbers flags. */
    .macro clear_vectors
    cmpl $POLICY_AVX, tmebox_vector_policy(%rip)
    jb .Lsse\@
    /* Upper halves become zero with a 128-bit VEX write. A quarter of what vzeroall costs; vzeroupper first,
     * for CPUs that remember whether upper halves are in use. */
    vzeroupper
    .irp n, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15
    vpxor %xmm\n, %xmm\n, %xmm\n
    .endr
    ja .Lavx512\@
.Lcleared\@:
    .subsection 1
.Lsse\@:
    .irp n, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15
    xorps %xmm\n, %xmm\n
    .endr
    jmp .Lcleared\@
.Lavx512\@:
    .irp n, 16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31
    vpxord %xmm\n, %xmm\n, %xmm\n
    .endr
    .irp n, 0,1,2,3,4,5,6,7
    kxorw %k\n, %k\n, %k\n
    .endr
    jmp .Lcleared\@
    .subsection 0
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
    jne .Lexpected\@
.Lnot_flagged\@:
    fnstcw ACTIVATION_SANDBOX_X87(\activation)
    movzwl ACTIVATION_HOST_X87(\activation), %eax
    cmpw %ax, ACTIVATION_SANDBOX_X87(\activation)
    jne .Lanew\@
    emms                                /* eight pushes leave a zero status word and a full stack */
.Lrestored\@:
    testb $POLICY_AVX, tmebox_vector_policy(%rip)
    je .Lno_avx\@
    vzeroupper
.Lno_avx\@:
    cld                                 /* verified code cannot set it: costs little, and C relies on it */
    .subsection 1
.Lexpected\@:
    fnstsw %ax                          /* 5 ns, and nothing cheaper tells what is flagged */
    testw %ax, %ax
    je .Lnot_flagged\@
    fnstcw ACTIVATION_SANDBOX_X87(\activation)
.Lanew\@:
    fninit
    fldcw ACTIVATION_HOST_X87(\activation)
    jmp .Lrestored\@
    .subsection 0
    .endm

#endif
