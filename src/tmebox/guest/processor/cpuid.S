/* __tmebox_cpuid and __tmebox_xgetbv: what the rewriter calls in the place of cpuid and xgetbv. They take and give
   what those do, in the same registers, and overwrite nothing else but r11 and the flags. */

#define KEEP pushq %rdi; pushq %rsi; pushq %r8; pushq %r9; pushq %r10
#define GIVE_BACK popq %r10; popq %r9; popq %r8; popq %rsi; popq %rdi

	.text
	.globl	__tmebox_cpuid
	.type	__tmebox_cpuid, @function
__tmebox_cpuid:
	KEEP
	subq	$16, %rsp
	movl	%eax, %edi
	movl	%ecx, %esi
	leaq	(%rsp), %rdx
	callq	__tmebox_answer_cpuid
	movl	(%esp), %eax
	movl	4(%esp), %ebx
	movl	8(%esp), %ecx
	movl	12(%esp), %edx
	addq	$16, %rsp
	GIVE_BACK
	retq
	.size	__tmebox_cpuid, .-__tmebox_cpuid

	.globl	__tmebox_xgetbv
	.type	__tmebox_xgetbv, @function
__tmebox_xgetbv:
	KEEP
	pushq	%rcx
	movl	%ecx, %edi
	callq	__tmebox_answer_xgetbv
	xorl	%edx, %edx
	popq	%rcx
	GIVE_BACK
	retq
	.size	__tmebox_xgetbv, .-__tmebox_xgetbv
