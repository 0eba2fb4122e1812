	.text
	.globl	reuse
	.type	reuse, @function
reuse:
.LFB0:
	movl	(%rdi), %eax
.LVL0:
	.file 1 "a.c"
	.loc 1 2 3
	movl	4(%rdi), %ecx
	addl	8(%rdi), %ecx
	movsd	16(%rdi), %xmm0
	je	.Lnext
	movl	%ecx, 12(%rdi)
.Lnext:
	movl	%ecx, 16(%rdi)
	addq	$8, %rdi
	movl	%ecx, 20(%rdi)
	xchgl	%edi, %edx
	movl	%ecx, 24(%rdi)
	movl	%ecx, 24(%rdi,%rsi)
	movl	%ecx, 28(%rdi,%rsi)
	movl	%ecx, 28(%rdi,%rsi,2)
	mulq	%rcx
	movl	%ecx, 28(%rdi,%rsi,2)
	callq	reuse
	movl	%ecx, 28(%rdi,%rsi,2)
.Ltaken:
	movl	%ecx, 32(%rdi,%rsi,2)
	movq	%rsi, %rdi
	movl	%ecx, 32(%rdi,%rsi,2)
	cmpl	%ecx, 32(%rdi,%rsi,2)
	leaq	8(%rdi), %rcx
	pcmpestri	$1, (%rcx), %xmm0
	movl	(%rcx), %eax
	ret
	.size	reuse, .-reuse
	.section	.rodata,"a",@progbits
	.quad	.Ltaken
