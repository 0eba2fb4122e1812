/* int setjmp(jmp_buf), _Noreturn void longjmp(jmp_buf, int); jmp_buf: rbx rbp r12 r13 r14 r15 rsp pc. Where r15
   holds the window's base, r14 and r15 are not the program's, and not saved.

   The saved rsp is an offset and the saved pc an address, both forgeable by the program. With a control stack (twin)
   both are one word, and 88(%rdi) keeps where arrays of variable size ended: longjmp is a host call, and the core goes on
   there only if a live frame ends where that rsp and the verified depth of that pc say. Else they go through what every
   write of rsp and every indirect jump goes through: rsp is rebased into the window, the jump is checked against the
   target map for the return bit, since setjmp returns to after a call. */
#include "abi.h"
	.text
	.globl __setjmp
	.globl _setjmp
	.globl setjmp
	.type __setjmp, @function
	.type _setjmp, @function
	.type setjmp, @function
__setjmp:
_setjmp:
setjmp:
	movq %rbx, (%rdi)
	movq %rbp, 8(%rdi)
	movq %r12, 16(%rdi)
	movq %r13, 24(%rdi)
#ifndef __tmebox_r15__
	movq %r14, 32(%rdi)
	movq %r15, 40(%rdi)
#endif
#ifdef __tmebox_twin__
	leal 8(%rsp), %edx
	movq (%rsp), %rcx
	shlq $32, %rcx
	orq %rcx, %rdx
	movq %rdx, 48(%rdi)
	movq __tmebox_thread_offset, %rcx
	movq __safestack_unsafe_stack_ptr(%rcx), %rdx
	movq %rdx, 88(%rdi)
#else
	leaq 8(%rsp), %rdx
	movq %rdx, 48(%rdi)
	movq (%rsp), %rdx
	movq %rdx, 56(%rdi)
#endif
	xorl %eax, %eax
	ret
	.size setjmp, .-setjmp

	.globl _longjmp
	.globl longjmp
	.type _longjmp, @function
	.type longjmp, @function
_longjmp:
longjmp:
	movq (%rdi), %rbx
	movq 8(%rdi), %rbp
	movq 16(%rdi), %r12
	movq 24(%rdi), %r13
#ifndef __tmebox_r15__
	movq 32(%rdi), %r14
	movq 40(%rdi), %r15
#endif
#ifdef __tmebox_twin__
	movq __tmebox_thread_offset, %rcx
	movq 88(%rdi), %rdx
	movq %rdx, __safestack_unsafe_stack_ptr(%rcx)
	xorl %eax, %eax
	cmpl $1, %esi
	adcl %esi, %eax
	movq %rax, 104(%rdi)
	movq 48(%rdi), %rdx
	movq %rdx, 96(%rdi)
	movq $0, 112(%rdi)
	leaq 96(%rdi), %rsi
	movl $TMEBOX_SYS_LONGJMP, %edi
	jmp __tmebox_syscall
#else
	movq 48(%rdi), %rdx
	movq 56(%rdi), %rcx
	movq %rdx, %rsp
	xorl %eax, %eax
	cmpl $1, %esi
	adcl %esi, %eax
	jmp *%rcx # LONGJMP
#endif
	.size longjmp, .-longjmp
	.section .note.GNU-stack, "", @progbits
