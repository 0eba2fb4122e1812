	.text
	.type	f,@function
f:
	subq	$24, %rsp
	testl	%edi, %edi
	je	.L1
	movl	%edi, 4(%rsp)
	addq	$24, %rsp
	jmp	elsewhere
.L1:
	cmpl	$3, %edi
	leaq	24(%rsp), %rsp
	jne	elsewhere
	pushq	%rbp
	movq	%rsp, %rbp
	subq	$300000, %rsp
	subq	$600000, %rsp
	leaq	16(%rsp), %rax
	movq	(%rsp,%rax,8), %rcx
	movl	600000(%rsp), %ecx
	cmpq	%rsp, %rcx
	pushq	%rsp
	popq	%rax
	addq	$900000, %rsp
	popq	%rbp
	retq
	.size	f, .-f
	.type	g,@function
g:
	pushq	%rbx
	subq	$16, %rsp
	movq	%rdi, (%rsp)
	movq	16(%rsp), %rbx
	movq	24(%rsp), %rcx
	movq	32(%rsp), %rcx
	leaq	8(%rsp), %rdi
	pushq	(%rsp)
	popq	8(%rsp)
	callq	f
	addq	$16, %rsp
	popq	%rbx
	jmp	f
	.size	g, .-g
