	.text
	.type	f,@function
f:
	subq	$24, %rsp
	testl	%edi, %edi
	je	.L1
	movl	%edi, %gs:-72357948(%esp)
	addq	$24, %rsp
	jmp	elsewhere
.L1:
	cmpl	$3, %edi
	leaq	24(%rsp), %rsp
	jne	elsewhere
	pushq	%rbp
	leal	-72357952(%rsp), %ebp
	subq	$300000, %rsp
	subq	$600000, %rsp
	leal	-72357936(%rsp), %eax
	movq	%gs:-72357952(%esp,%eax,8), %rcx
	movl	%gs:-71757952(%esp), %ecx
	leal	-72357952(%rsp), %r11d
	cmpq	%r11, %rcx
	leal	-72357952(%rsp), %r11d
	pushq	%r11
	popq	%rax
	addq	$900000, %rsp
	popq	%rbp
	retq
	.size	f, .-f
	.type	g,@function
g:
	pushq	%rbx
	subq	$16, %rsp
	movq	%rdi, %gs:-72357952(%esp)
	movq	16(%rsp), %rbx
	movq	24(%rsp), %rcx
	movq	%gs:-72357920(%esp), %rcx
	leal	-72357944(%rsp), %edi
	pushq	%gs:-72357952(%esp)
	popq	%r11
	movq	%r11, %gs:-72357944(%esp)
	callq	f
	addq	$16, %rsp
	popq	%rbx
	jmp	f
	.size	g, .-g

	.section	.tmebox.depths,"",@progbits
	.quad	f, 0
	.quad	.L1, 24
	.quad	g, 2147483648
