/* Into a sandbox, and the way back to who entered it. Nothing here parses or decides; the C around it does. */
#include "enter/assembly.h"

#define DEFAULT_MXCSR 0x1f80

    .section .rodata
    .balign 4
default_mxcsr:
    .long DEFAULT_MXCSR
    .balign 8
enter_gate:
    .quad GATE_ENTER

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
    stmxcsr ACTIVATION_HOST_MXCSR(%rdi) /* looked at below: it takes a while */
    /* Always: a text with x87 instructions may be loaded while the sandbox runs. The host's status word may be
     * seen, like MXCSR's flags: reading it takes 5 ns, and with the default control word nothing is pending. */
    fnstcw ACTIVATION_HOST_X87(%rdi)
    cmpw $DEFAULT_X87, ACTIVATION_HOST_X87(%rdi)
    jne .Lother_x87
.Lx87:
    clear_x87
    clear_vectors
    movl ACTIVATION_HOST_MXCSR(%rdi), %eax
    andl $MXCSR_CONTROL, %eax
    cmpl $DEFAULT_MXCSR, %eax
    jne .Lother_mxcsr
.Lmxcsr:
    movl ACTIVATION_VECTOR_COUNT(%rdi), %eax
    testl %eax, %eax
    jne .Lvectors
.Lloaded:
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
.Lother_x87:
    fninit
    jmp .Lx87
.Lother_mxcsr:
    ldmxcsr default_mxcsr(%rip)
    jmp .Lmxcsr
.Lvectors:
    .irp n, 0,1,2,3,4,5,6,7
    movq ACTIVATION_VECTORS+8*\n(%rdi), %xmm\n
    .endr
    jmp .Lloaded
    end_function tmebox_enter

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

    .section .note.GNU-stack, "", @progbits
