	.text
	.globl	reuse
	.type	reuse, @function
reuse:
.LFB0:
	movl	%edi, %r14d
	movl	(%r15,%r14), %eax
.LVL0:
	.file	1 "a.c"
	.loc	1 2 3
	movl	4(%r15,%r14), %ecx
	addl	8(%r15,%r14), %ecx
	movsd	16(%r15,%r14), %xmm0
	je	.Lnext
	movl	%ecx, 12(%r15,%r14)
.Lnext:
	movl	%edi, %r14d
	movl	%ecx, 16(%r15,%r14)
	addq	$8, %rdi
	movl	%edi, %r14d
	movl	%ecx, 20(%r15,%r14)
	xchgl	%edi, %edx
	movl	%edi, %r14d
	movl	%ecx, 24(%r15,%r14)
	leal	(%rdi,%rsi), %r14d
	movl	%ecx, 24(%r15,%r14)
	movl	%ecx, 28(%r15,%r14)
	leal	(%rdi,%rsi,2), %r14d
	movl	%ecx, 28(%r15,%r14)
	mulq	%rcx
	leal	(%rdi,%rsi,2), %r14d
	movl	%ecx, 28(%r15,%r14)
	callq	reuse
	leal	(%rdi,%rsi,2), %r14d
	movl	%ecx, 28(%r15,%r14)
.Ltaken:
	leal	(%rdi,%rsi,2), %r14d
	movl	%ecx, 32(%r15,%r14)
	movq	%rsi, %rdi
	leal	(%rdi,%rsi,2), %r14d
	movl	%ecx, 32(%r15,%r14)
	cmpl	%ecx, 32(%r15,%r14)
	leaq	8(%rdi), %rcx
	movl	%ecx, %r14d
	pcmpestri	$1, (%r15,%r14), %xmm0
	movl	%ecx, %r14d
	movl	(%r15,%r14), %eax
	movl	(%rsp), %r11d
	testb	$8, 0x7fff0000(%r11)
	je	.Ltmebox1
	movq	%r11, (%rsp)
	retq
.Ltmebox1:
	hlt
	.size	reuse, .-reuse
	.section	.rodata,"a",@progbits
	.quad	.Ltaken
