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
	andq	$-64, %rsp
	subq	$300000, %rsp
	subq	$300000, %rsp
	leaq	16(%rsp), %rax
	movq	(%rsp,%rax,8), %rcx
	movl	600000(%rsp), %ecx
	cmpq	%rsp, %rcx
	pushq	%rsp
	popq	%rax
	leave
	retq
	.size	f, .-f
