/* Into and out of sandboxes. Nothing here parses or decides; the C around it does.
 *
 * %fs is the host's throughout (verified code cannot touch it), so the activation is found through
 * thread-local storage, never through a register or memory that sandboxed code could have changed.
 */
#include "enter/activation.h"

#define DEFAULT_MXCSR 0x1f80

/* All but the six sticky flags, which a sandbox may see: that some earlier result was inexact is no secret.
 * Writing MXCSR with another value stops some CPUs for 15 ns, so on the way in it is not done for their sake.
 * Reading it takes others 4 ns, so on the way out the host's is written without looking: mostly the same. */
#define MXCSR_CONTROL 0xffc0

#define DEFAULT_X87 0x37f
#define SYS_RT_SIGRETURN 15

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

    .section .rodata
    .balign 4
default_mxcsr:
    .long DEFAULT_MXCSR

    .text

/* void tmebox_enter(struct activation *activation);
 *
 * Enters `address` with the registers in the activation; rsp points at the stack arguments. Returns when the
 * sandbox went through the exit gate or something jumped to tmebox_leave. gs base is set already, if that is
 * where the code expects its window's base; else the activation's r15 is it. Clobbers what a C function may.
 * Trusts the activation. */
    function tmebox_enter
    pushq %rbp
    pushq %rbx
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
    subq $8, %rsp
    movq %rsp, ACTIVATION_HOST_RSP(%rdi)
    stmxcsr ACTIVATION_HOST_MXCSR(%rdi)
    movl ACTIVATION_HOST_MXCSR(%rdi), %eax
    andl $MXCSR_CONTROL, %eax
    cmpl $DEFAULT_MXCSR, %eax
    je 3f
    ldmxcsr default_mxcsr(%rip)
3:
    /* Always: a text with x87 instructions may be loaded while the sandbox runs. The host's status word may be
     * seen, like MXCSR's flags: reading it takes 5 ns, and with the default control word nothing is pending. */
    fnstcw ACTIVATION_HOST_X87(%rdi)
    cmpw $DEFAULT_X87, ACTIVATION_HOST_X87(%rdi)
    je 8f
    fninit
8:
    clear_x87
    clear_vectors %rdi
    movl ACTIVATION_VECTOR_COUNT(%rdi), %eax
    testl %eax, %eax
    je 3f
    .irp n, 0,1,2,3,4,5,6,7
    movq ACTIVATION_VECTORS+8*\n(%rdi), %xmm\n
    .endr
3:
    movq %rdi, %r10
    movq ACTIVATION_ADDRESS(%r10), %r11
    movq ACTIVATION_R15(%r10), %r15
    movq ACTIVATION_RSP(%r10), %rsp
    movq ACTIVATION_INTEGERS+0(%r10), %rdi
    movq ACTIVATION_INTEGERS+8(%r10), %rsi
    movq ACTIVATION_INTEGERS+16(%r10), %rdx
    movq ACTIVATION_INTEGERS+24(%r10), %rcx
    movq ACTIVATION_INTEGERS+32(%r10), %r8
    movq ACTIVATION_INTEGERS+40(%r10), %r9
    xorl %ebx, %ebx
    xorl %ebp, %ebp
    xorl %r10d, %r10d
    xorl %r12d, %r12d
    xorl %r13d, %r13d
    xorl %r14d, %r14d                   /* code with its base in r15 relies on the upper half */
    jmp *enter_gate(%rip)               /* r11 holds a text address, no secret */
    end_function tmebox_enter

/* The exit gate's target: a jump from GATE_EXIT, where the outermost sandbox function returned to.
 * Trusts nothing but the activation; takes rax, rdx, xmm0 and xmm1 as the result. */
    function tmebox_gate_exit
    get_activation %r10
    movq %rax, ACTIVATION_RAX(%r10)
    movq %rdx, ACTIVATION_RDX(%r10)
    movq %xmm0, ACTIVATION_VECTORS+0(%r10)
    movq %xmm1, ACTIVATION_VECTORS+8(%r10)
    /* falls through */
    end_function tmebox_gate_exit

/* Not called, jumped to, with r10 = the activation: from the exit gate, from a host call that raised, and,
 * as the place where a signal handler resumes, after a trap. Returns from tmebox_enter. */
    .globl tmebox_leave
    .hidden tmebox_leave
    .type tmebox_leave, @function
tmebox_leave:
    movq ACTIVATION_HOST_RSP(%r10), %rsp
    ldmxcsr ACTIVATION_HOST_MXCSR(%r10)
    restore_host_control %r10
    addq $8, %rsp
    popq %r15
    popq %r14
    popq %r13
    popq %r12
    popq %rbx
    popq %rbp
    ret
    end_function tmebox_leave

/* The host-call gate's target: a jump from GATE_HOSTCALL with the import's index in r11d and the return
 * address on the sandbox's stack, both untrusted. Saves what can be an argument, switches to the host's
 * stack and runs `int tmebox_hostcall(struct activation *)`. rbx, rbp, r12 … r15 are the sandbox's (or what
 * confines it) and preserved by C. Everything else that C may have touched is cleared or holds the result. */
    function tmebox_gate_hostcall
    get_activation %r10
    movl %r11d, %r11d
    movq %r11, ACTIVATION_INDEX(%r10)
    movq %rax, ACTIVATION_RAX(%r10)
    movq %rsp, ACTIVATION_RSP(%r10)
    movq %rdi, ACTIVATION_INTEGERS+0(%r10)
    movq %rsi, ACTIVATION_INTEGERS+8(%r10)
    movq %rdx, ACTIVATION_INTEGERS+16(%r10)
    movq %rcx, ACTIVATION_INTEGERS+24(%r10)
    movq %r8, ACTIVATION_INTEGERS+32(%r10)
    movq %r9, ACTIVATION_INTEGERS+40(%r10)
    .irp n, 0,1,2,3,4,5,6,7
    movq %xmm\n, ACTIVATION_VECTORS+8*\n(%r10)
    .endr
    movq ACTIVATION_HOST_RSP(%r10), %rsp
    stmxcsr ACTIVATION_SANDBOX_MXCSR(%r10)
    movl ACTIVATION_SANDBOX_MXCSR(%r10), %ecx
    xorl ACTIVATION_HOST_MXCSR(%r10), %ecx
    andl $MXCSR_CONTROL, %ecx
    je 3f
    ldmxcsr ACTIVATION_HOST_MXCSR(%r10)
3:
    restore_host_control %r10
    movq %r10, %rdi
    call tmebox_hostcall
    get_activation %r10
    testl %eax, %eax
    jne tmebox_leave
    /* Back into the sandbox. */
    movl ACTIVATION_SANDBOX_MXCSR(%r10), %eax
    xorl ACTIVATION_HOST_MXCSR(%r10), %eax
    andl $MXCSR_CONTROL, %eax
    je 3f
    ldmxcsr ACTIVATION_SANDBOX_MXCSR(%r10)
3:
    /* What the host flagged may stay where neither its control word nor the sandbox's unmasks it. */
    fnstcw ACTIVATION_SCRATCH(%r10)
    cmpw $DEFAULT_X87, ACTIVATION_SCRATCH(%r10)
    jne 8f
    cmpw $DEFAULT_X87, ACTIVATION_SANDBOX_X87(%r10)
    je 9f
8:
    fninit
9:
    clear_x87
    fldcw ACTIVATION_SANDBOX_X87(%r10)
    clear_vectors %r10
    movq ACTIVATION_VECTORS+0(%r10), %xmm0
    movq ACTIVATION_VECTORS+8(%r10), %xmm1
    movq ACTIVATION_RAX(%r10), %rax
    movq ACTIVATION_RDX(%r10), %rdx
    movq ACTIVATION_RSP(%r10), %rsp
    movq ACTIVATION_RETURN_GATE(%r10), %r11 /* as in tmebox_enter, no secret */
    xorl %ecx, %ecx
    xorl %esi, %esi
    xorl %edi, %edi
    xorl %r8d, %r8d
    xorl %r9d, %r9d
    xorl %r10d, %r10d
    jmp *%r11
    end_function tmebox_gate_hostcall

/* Not called: where the signal handler resumes when the main thread must look at Python's signals while
 * sandbox code runs. rbx = a signal frame's ucontext on the host's stack, which is the state to go back
 * to; r12 = the activation; rsp = aligned, below both. Trusts all three (the handler made them). */
    function tmebox_poll_entry
    ldmxcsr ACTIVATION_HOST_MXCSR(%r12)
    restore_host_control %r12
    movq %r12, %rdi
    call tmebox_poll
    movq %r12, %r10
    testl %eax, %eax
    jne tmebox_leave
    movq %rbx, %rsp
    movl $SYS_RT_SIGRETURN, %eax
    syscall
    hlt
    end_function tmebox_poll_entry

/* The gate page's contents, copied to GATE_BASE; the two pointers are filled in there.
 *
 * Some entries are for the core and not in the target map. They are here because whatever they hit then
 * happens inside the code region and is a trap like any other: the call that enters a sandbox (a real call,
 * so that the CPU predicts the return to the exit gate behind it), and the returns from host calls: the
 * checked return of design.md, section 4, for either base, and one for modules without code isolation, which
 * have an empty target map. */
    .macro load_return_address
    movl (%rsp), %r11d
    .endm

    .macro return_to_r11
    movq %r11, (%rsp)
    ret
    .endm

    .macro checked_return bit
    load_return_address
    testb $\bit, TMEBOX_TARGET_MAP(%r11)
    je 1f
    return_to_r11
1:  hlt
    .endm

    .section .rodata
    .globl tmebox_gate_page, tmebox_gate_page_end
    .hidden tmebox_gate_page, tmebox_gate_page_end
    .balign 64
tmebox_gate_page:
    jmp *hostcall_pointer(%rip)
    .org tmebox_gate_page + GATE_ENTER_OFFSET, 0xf4
    call *%r11
    .org tmebox_gate_page + TMEBOX_GATE_EXIT - TMEBOX_GATE_BASE, 0xf4
    jmp *exit_pointer(%rip)
    .org tmebox_gate_page + GATE_RETURN_GS_OFFSET, 0xf4
    checked_return TMEBOX_TARGET_RETURN
    .org tmebox_gate_page + GATE_RETURN_R15_OFFSET, 0xf4
    checked_return TMEBOX_TARGET_RETURN << TMEBOX_TARGET_R15_SHIFT
    .org tmebox_gate_page + GATE_RETURN_UNCHECKED_OFFSET, 0xf4
    load_return_address
    return_to_r11
    .org tmebox_gate_page + GATE_POINTERS_OFFSET, 0xf4
hostcall_pointer:
    .quad 0
exit_pointer:
    .quad 0
tmebox_gate_page_end:

    .balign 8
enter_gate:
    .quad GATE_ENTER

    .section .note.GNU-stack, "", @progbits
