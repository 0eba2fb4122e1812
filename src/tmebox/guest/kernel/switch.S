/* void __tmebox_switch(unsigned long *from, unsigned long to);

   Saves what functions keep on the running thread's stack, puts rsp into *from, and goes on where `to` was saved by one of these
   three. Like longjmp: rsp is rebased into the window, whatever `to` is, and the return is checked. So a forged
   `to` leads a program to a return site of verified code, with a stack of its own: what it could have had by longjmp.

   void __tmebox_begin(unsigned long *from, unsigned long stack, struct task *task);

   The same, but goes on in __tmebox_run_task(task), on the stack that ends at `stack`, a multiple of 16.

   _Noreturn void __tmebox_stand_still(unsigned long *from);

   The same, but goes on in __tmebox_tell_who_stands_still(), on the same stack.

   Where stacks are control stacks, the core changes them: void __tmebox_switch(unsigned long *from, long number, long ends).
   A number that is forged leads to where that thread stands, or nowhere.

   What is saved, from *from up: MXCSR and the x87 control word, r15, r14, r13, r12, rbp, rbx, the return address. Where r15 holds
   the window's base, r14 and r15 are not the program's, and zeros are saved. */
#include "abi.h"
#ifdef __tmebox_r15__
#define SAVE_R14_R15 pushq $0; .cfi_adjust_cfa_offset 8; pushq $0; .cfi_adjust_cfa_offset 8
#define RESTORE_R14_R15 popq %rax; popq %rax
#else
#define SAVE_R14_R15 pushq %r14; .cfi_adjust_cfa_offset 8; pushq %r15; .cfi_adjust_cfa_offset 8
#define RESTORE_R14_R15 popq %r15; popq %r14
#endif

#ifdef __tmebox_twin__
#define PLACE %esp
#else
#define PLACE %rsp
#endif

#define SAVE \
	pushq %rbx; .cfi_adjust_cfa_offset 8; \
	pushq %rbp; .cfi_adjust_cfa_offset 8; \
	pushq %r12; .cfi_adjust_cfa_offset 8; \
	pushq %r13; .cfi_adjust_cfa_offset 8; \
	SAVE_R14_R15; \
	subq $8, %rsp; .cfi_adjust_cfa_offset 8; \
	stmxcsr (PLACE); \
	fnstcw 4(PLACE); \
	leaq (%rsp), %rax; \
	movq %rax, (%rdi)

#define FUNCTION(NAME) .balign 16; .globl NAME; .type NAME, @function; NAME: .cfi_startproc
#define END(NAME) .cfi_endproc; .size NAME, .-NAME

	.text
#ifdef __tmebox_twin__
FUNCTION(__tmebox_switch)
	SAVE
	movl $TMEBOX_SYS_SWITCH_THREAD, %edi
	call __tmebox_syscall
	testl %eax, %eax
	jne 1f
	ldmxcsr (%esp)
	fldcw 4(%esp)
	addq $8, %rsp; .cfi_adjust_cfa_offset -8
	popq %r15; .cfi_adjust_cfa_offset -8
	popq %r14; .cfi_adjust_cfa_offset -8
	popq %r13; .cfi_adjust_cfa_offset -8
	popq %r12; .cfi_adjust_cfa_offset -8
	popq %rbp; .cfi_adjust_cfa_offset -8
	popq %rbx; .cfi_adjust_cfa_offset -8
	ret
1:	ud2
END(__tmebox_switch)
#else
FUNCTION(__tmebox_switch)
	SAVE
	movq %rsi, %rsp
	ldmxcsr (%rsp)
	fldcw 4(%rsp)
	popq %rax
	RESTORE_R14_R15
	popq %r13
	popq %r12
	popq %rbp
	popq %rbx
	ret
END(__tmebox_switch)

FUNCTION(__tmebox_begin)
	SAVE
	movq %rsi, %rsp
	movq %rdx, %rdi
	xorl %ebp, %ebp
	call __tmebox_run_task
	ud2
END(__tmebox_begin)
#endif

FUNCTION(__tmebox_stand_still)
	SAVE
	call __tmebox_tell_who_stands_still
	ud2
END(__tmebox_stand_still)
	.section .note.GNU-stack, "", @progbits
