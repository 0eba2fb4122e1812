/* int __unw_getcontext(unw_context_t *), _Noreturn void __libunwind_Registers_x86_64_jumpto(Registers_x86_64 *)

   What libunwind needs of the processor, in the place of its own files. The context holds rax rbx rcx rdx rdi rsi rbp
   rsp r8…r15 rip, 8 bytes each. Its rsp is an offset, and its rip an address: both are sandbox data, and as forgeable
   as a jmp_buf.

   The second routine is the only place where an exception moves rsp and jumps. rsp is rebased into the window like
   everywhere, and the jump is checked against the target map for the bit of labels, which landing pads have. Nothing
   of .eh_frame is trusted for that. Landing pads find their two arguments in rax and rdx, and the registers that calls
   keep; they expect nothing in the others.

   Where stacks are control stacks, the core does it, as it does longjmp: only to a landing pad whose depth is that of a frame that
   has not returned. */
#include "abi.h"
	.text
	.globl __unw_getcontext
	.globl unw_getcontext
	.type __unw_getcontext, @function
	.type unw_getcontext, @function
__unw_getcontext:
unw_getcontext:
	movq %rax, (%rdi)
	movq %rbx, 8(%rdi)
	movq %rcx, 16(%rdi)
	movq %rdx, 24(%rdi)
	movq %rdi, 32(%rdi)
	movq %rsi, 40(%rdi)
	movq %rbp, 48(%rdi)
	leaq 8(%rsp), %rdx
	movq %rdx, 56(%rdi)
	movq %r8, 64(%rdi)
	movq %r9, 72(%rdi)
	movq %r10, 80(%rdi)
	movq %r12, 96(%rdi)
	movq %r13, 104(%rdi)
	movq %r14, 112(%rdi)
	movq %r15, 120(%rdi)
	movq (%rsp), %rdx
	movq %rdx, 128(%rdi)
	xorl %eax, %eax
	ret
	.size __unw_getcontext, .-__unw_getcontext

	.globl __libunwind_Registers_x86_64_jumpto
	.type __libunwind_Registers_x86_64_jumpto, @function
__libunwind_Registers_x86_64_jumpto:
#ifdef __tmebox_twin__
	movq (%rdi), %rax
	movq %rax, 72(%rdi)
	movq 24(%rdi), %rax
	movq %rax, 80(%rdi)
	movl 56(%rdi), %eax
	movq 128(%rdi), %rcx
	shlq $32, %rcx
	orq %rcx, %rax
	movq %rax, 64(%rdi)
#else
	movq (%rdi), %rax
	movq 24(%rdi), %rdx
#endif
	movq 8(%rdi), %rbx
	movq 48(%rdi), %rbp
	movq 96(%rdi), %r12
	movq 104(%rdi), %r13
	movq 112(%rdi), %r14
	movq 120(%rdi), %r15
#ifdef __tmebox_twin__
	leaq 64(%rdi), %rsi
	movl $TMEBOX_SYS_LONGJMP, %edi
	jmp __tmebox_syscall
#else
	movq 56(%rdi), %rsi
	movq 128(%rdi), %rcx
	movq %rsi, %rsp
	jmp *%rcx # LANDING
#endif
	.size __libunwind_Registers_x86_64_jumpto, .-__libunwind_Registers_x86_64_jumpto
	.section .note.GNU-stack, "", @progbits
