	.text
	.globl	ask
	.type	ask,@function
ask:
	movq	%rbx, -8(%rsp)
	movl	$1, %eax
	xorl	%ecx, %ecx
	cpuid
	movl	%ecx, %esi
	xorl	%ecx, %ecx
	xgetbv
	rdtsc
	movl	%eax, %r8d
	rdtscp
	subq	%r8, %rax
	movq	-8(%rsp), %rbx
	retq
	.size	ask, .-ask
__tmebox_cpuid:
__tmebox_xgetbv:
__tmebox_rdtsc:
__tmebox_rdtscp:
	retq
