	.text
	.globl	ask
	.type	ask,@function
ask:
	movq	%rbx, %gs:-72357960(%esp)
	movl	$1, %eax
	xorl	%ecx, %ecx
	leaq	-144(%rsp), %rsp
	movq	%r11, (%rsp)
	callq	__tmebox_cpuid
	leaq	144(%rsp), %rsp
	movq	-144(%rsp), %r11
	movl	%ecx, %esi
	xorl	%ecx, %ecx
	leaq	-144(%rsp), %rsp
	movq	%r11, (%rsp)
	callq	__tmebox_xgetbv
	leaq	144(%rsp), %rsp
	movq	-144(%rsp), %r11
	leaq	-144(%rsp), %rsp
	movq	%r11, (%rsp)
	callq	__tmebox_rdtsc
	leaq	144(%rsp), %rsp
	movq	-144(%rsp), %r11
	movl	%eax, %r8d
	leaq	-144(%rsp), %rsp
	movq	%r11, (%rsp)
	callq	__tmebox_rdtscp
	leaq	144(%rsp), %rsp
	movq	-144(%rsp), %r11
	subq	%r8, %rax
	movq	%gs:-72357960(%esp), %rbx
	retq
	.size	ask, .-ask
__tmebox_cpuid:
__tmebox_xgetbv:
__tmebox_rdtsc:
__tmebox_rdtscp:
	retq

	.section	.tmebox.depths,"",@progbits
	.quad	ask, 2147483648
	.quad	__tmebox_cpuid, 0
