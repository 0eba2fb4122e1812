/* NAME and NAMEP: what the rewriter calls in the place of rdtsc and rdtscp. A sandbox is not shown the processor's
   counter: it gets its clock's nanoseconds. They overwrite rax and rdx (NAMEP also rcx), r11 and the flags.

   Before it is included: NAME and NAMEP, STORE and LOAD for a vector register, its SIZE in
   bytes, and FRAME: VECTORS and 16 of them. */

#define CLOCK_GETTIME 228
#define CLOCK_MONOTONIC 1
#define VECTORS 64

#define KEEP pushq %rcx; pushq %rdi; pushq %rsi; pushq %r8; pushq %r9; pushq %r10
#define GIVE_BACK popq %r10; popq %r9; popq %r8; popq %rsi; popq %rdi; popq %rcx
#define EACH(MOVE) \
	MOVE(0); MOVE(1); MOVE(2); MOVE(3); MOVE(4); MOVE(5); MOVE(6); MOVE(7); \
	MOVE(8); MOVE(9); MOVE(10); MOVE(11); MOVE(12); MOVE(13); MOVE(14); MOVE(15)

	.text
	.globl	NAMEP
	.type	NAMEP, @function
NAMEP:
	callq	NAME
	xorl	%ecx, %ecx
	retq
	.size	NAMEP, .-NAMEP

	.globl	NAME
	.type	NAME, @function
NAME:
	KEEP
	subq	$FRAME, %rsp
	movq	$CLOCK_MONOTONIC, 16(%esp)
	leaq	(%rsp), %rdi
	movq	%rdi, 24(%esp)
	EACH(STORE)
	movl	$CLOCK_GETTIME, %edi
	leaq	16(%rsp), %rsi
	callq	__tmebox_syscall
	EACH(LOAD)
	imulq	$1000000000, (%esp), %rax
	addq	8(%esp), %rax
	movq	%rax, %rdx
	shrq	$32, %rdx
	movl	%eax, %eax
	addq	$FRAME, %rsp
	GIVE_BACK
	retq
	.size	NAME, .-NAME
