/* Out of a sandbox: where the gates lead, and the page that they are in. Nothing here parses or decides; the C that
 * is called from here does. */
#include "enter/assembly.h"

#define SYS_RT_SIGRETURN 15

    .text

/* The exit gate's target: a jump from GATE_EXIT, where the outermost sandbox function returned to.
 * Trusts nothing but the activation; takes rax, rdx, xmm0 and xmm1 as the result. */
    function tmebox_gate_exit
    get_activation %r10
    movq %rax, ACTIVATION_RAX(%r10)
    movq %rdx, ACTIVATION_RDX(%r10)
    movq %xmm0, ACTIVATION_VECTORS+0(%r10)
    movq %xmm1, ACTIVATION_VECTORS+8(%r10)
    jmp tmebox_leave
    end_function tmebox_gate_exit

/* The host-call gate's target: a jump from GATE_HOSTCALL with the import's index in r11d and the return
 * address on the sandbox's stack, both untrusted. Saves what can be an argument, switches to the host's
 * stack and runs `int tmebox_answer(struct activation *)`, and if that does not, `int tmebox_hostcall(…)`. rbx,
 * rbp, r12 … r15 are the sandbox's (or what confines it) and preserved by C. Everything else that C may have touched is
 * cleared or holds the result. Who asks for a clock is told first, without any of this, and `int
 * tmebox_move_stretch(struct activation *)` touches no vector register.
 *
 * tmebox_answer runs with the sandbox's MXCSR and x87 state, which only floating-point instructions depend on or
 * change, and it has none. Handlers of signals get states of their own from the kernel. */
    function tmebox_gate_hostcall
    get_activation %r10
    movl %r11d, %r11d
    cmpq $TMEBOX_SYS_CLOCK, %rdi
    je .Lclock
.Lno_clock:
    movq %r11, ACTIVATION_INDEX(%r10)
    movq %rax, ACTIVATION_RAX(%r10)
    movq %rsp, ACTIVATION_RSP(%r10)
    movq %rdi, ACTIVATION_INTEGERS+0(%r10)
    movq %rsi, ACTIVATION_INTEGERS+8(%r10)
    movq %rdx, ACTIVATION_INTEGERS+16(%r10)
    movq %rcx, ACTIVATION_INTEGERS+24(%r10)
    movq %r8, ACTIVATION_INTEGERS+32(%r10)
    movq %r9, ACTIVATION_INTEGERS+40(%r10)
    movq ACTIVATION_HOST_RSP(%r10), %rsp
    cld
    cmpq ACTIVATION_SYSTEM_IMPORT(%r10), %r11
    je .Lsystem
.Lno_stretch:
    .irp n, 0,1,2,3,4,5,6,7
    movq %xmm\n, ACTIVATION_VECTORS+8*\n(%r10)
    .endr
    testb $POLICY_AVX, tmebox_vector_policy(%rip)
    je 1f
    vzeroupper
1:
    movq %r10, %rdi
    call tmebox_answer
    get_activation %r10
    testl %eax, %eax
    jne 2f
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
    /* Back into the sandbox, whatever the host function has done to the host's. */
    ldmxcsr ACTIVATION_SANDBOX_MXCSR(%r10)
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
2:
    clear_vectors
    movq ACTIVATION_VECTORS+0(%r10), %xmm0
    movq ACTIVATION_VECTORS+8(%r10), %xmm1
.Lanswered:
    movq ACTIVATION_RAX(%r10), %rax
    movq ACTIVATION_RDX(%r10), %rdx
.Lback:
    movq ACTIVATION_RSP(%r10), %rsp
    movq ACTIVATION_RETURN_GATE(%r10), %r11 /* as in tmebox_enter, no secret */
    xorl %ecx, %ecx
    xorl %esi, %esi
    xorl %edi, %edi
    xorl %r8d, %r8d
    xorl %r9d, %r9d
    xorl %r10d, %r10d
    jmp *%r11
.Lsystem:
    movq %r10, %rdi
    call tmebox_move_stretch
    get_activation %r10
    testl %eax, %eax
    jne .Lanswered
    jmp .Lno_stretch
.Lclock:
    /* Programs ask for the time more often than for anything else. Neither this nor the vDSO touches a vector
     * register: those of the sandbox's stay. What the function might leave in one anyway is of the time. */
    cmpq ACTIVATION_CLOCK_IMPORT(%r10), %r11
    jne .Lno_clock
    cmpq $1, %rsi /* CLOCK_REALTIME or CLOCK_MONOTONIC */
    ja .Lno_clock
    movq %rsp, ACTIVATION_RSP(%r10)
    movq ACTIVATION_HOST_RSP(%r10), %rsp
    cld
    subq $32, %rsp /* a struct timespec, and the activation */
    movq %r10, 16(%rsp)
    movq $0, 8(%rsp) /* what was there is the host's, and would come back with -1 */
    movq %rsi, %rdi
    movq %rsp, %rsi
    call *tmebox_kernels_clock(%rip)
    movq 16(%rsp), %r10
    movq 8(%rsp), %rdx
    cltq /* 0, or less: no time */
    orq 0(%rsp), %rax
    jmp .Lback
    end_function tmebox_gate_hostcall

/* Not called: where the signal handler resumes when the main thread must look at Python's signals while
 * sandbox code runs. rbx = a signal frame's ucontext on the host's stack, which is the state to go back
 * to; r12 = the activation; rsp = aligned, below both. Trusts all three (the handler made them). */
    function tmebox_poll_entry
    ldmxcsr ACTIVATION_HOST_MXCSR(%r12)
    restore_host_control %r12
    movq %r12, %rdi
    movq %rbx, %rsi
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
 * checked return of design.md, section 4, for code with its base in r15, and one without a check, for control stacks,
 * and for modules without code isolation, which have an empty target map; and the way to these if an interrupt came while
 * the core was at work. */
    .macro load_return_address
    movl (%rsp), %r11d
    .endm

    .macro return_to_r11
    movq %r11, (%rsp)
    ret
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
    .org tmebox_gate_page + GATE_RETURN_R15_OFFSET, 0xf4
    load_return_address
    testb $TMEBOX_TARGET_RETURN << TMEBOX_TARGET_R15_SHIFT, TMEBOX_TARGET_MAP(%r11)
    je 1f
    return_to_r11
1:  hlt
    .org tmebox_gate_page + GATE_RETURN_UNCHECKED_OFFSET, 0xf4
    load_return_address
    return_to_r11
    .org tmebox_gate_page + GATE_DEFERRED_OFFSET, 0xf4
    hlt                                 /* the handler of this fault goes on from here */
    .org tmebox_gate_page + GATE_NOWHERE_OFFSET, 0xf4
    hlt
    .org tmebox_gate_page + GATE_POINTERS_OFFSET, 0xf4
hostcall_pointer:
    .quad 0
exit_pointer:
    .quad 0
tmebox_gate_page_end:

    .section .note.GNU-stack, "", @progbits
