/* Back to where a thread of a sandbox was interrupted. */
#include "enter/assembly.h"
#include "enter/control.h"

#define COMPONENTS 7 /* as in slices.c */
#define REGISTER(n) INTERRUPTED_REGISTERS+8*(n)(%rdi)

    .text

/* _Noreturn void tmebox_restore_thread(const struct interrupted *state);
 *
 * Goes on with these registers. rsp is the host's, of which the next host call or the end of the call takes what is kept in
 * the activation: nothing here is come back to. Trusts the state, which is the core's, and that it is aligned to 64 bytes.
 * What other components of `xsave` hold stays: verified code has no instruction for them.
 *
 * rip, rsp and the flags come at once, by the one instruction that takes them from memory that is not the sandbox's. */
    function tmebox_restore_thread
    movl $COMPONENTS, %eax
    xorl %edx, %edx
    xrstor64 (%rdi)
    movl %ss, %eax
    pushq %rax
    pushq REGISTER(4)
    pushq INTERRUPTED_FLAGS(%rdi)
    movl %cs, %eax
    pushq %rax
    pushq INTERRUPTED_RIP(%rdi)
    movq REGISTER(0), %rax
    movq REGISTER(1), %rcx
    movq REGISTER(2), %rdx
    movq REGISTER(3), %rbx
    movq REGISTER(5), %rbp
    movq REGISTER(6), %rsi
    movq REGISTER(8), %r8
    movq REGISTER(9), %r9
    movq REGISTER(10), %r10
    movq REGISTER(11), %r11
    movq REGISTER(12), %r12
    movq REGISTER(13), %r13
    movq REGISTER(14), %r14
    movq REGISTER(15), %r15
    movq REGISTER(7), %rdi
    iretq
    end_function tmebox_restore_thread

    .section .note.GNU-stack, "", @progbits
