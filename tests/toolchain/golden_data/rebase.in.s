	.text
	.type	f,@function
f:
	movq	%rbx, %rsp
	movq	-48(%rbp), %rsp
	leaq	-40(%rbp), %rsp
	subq	%rax, %rsp
	subq	$700000, %rsp
	popq	%rsp
	negq	%rsp
	xchgq	%rsp, %rax
	cmpl	%eax, %ecx
	movq	%rbx, %rsp
	jle	.L1
	cmpl	%eax, %ecx
	movl	%eax, %edx
	movq	%rbx, %rsp
	jle	.L1
.L1:
	retq
	.size	f, .-f
