	.text
	.globl	ask
	.type	ask,@function
ask:
	movq	%rbx, -8(%rsp)
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
	movq	-8(%rsp), %rbx
	movl	(%rsp), %r11d
	testb	$1, 0x7fff0000(%r11)
	je	.Ltmebox1
	movq	%r11, (%rsp)
	retq
.Ltmebox1:
	hlt
	.size	ask, .-ask
__tmebox_cpuid:
__tmebox_xgetbv:
__tmebox_rdtsc:
__tmebox_rdtscp:
	movl	(%rsp), %r11d
	testb	$1, 0x7fff0000(%r11)
	je	.Ltmebox2
	movq	%r11, (%rsp)
	retq
.Ltmebox2:
	hlt
