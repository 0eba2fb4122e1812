	.text
	.type	f,@function
f:
	subq	$24, %rsp
	cmpl	%eax, (%rsp)
	testl	%edi, %edi
	je	.L1
	movl	%edi, 4(%rsp)
	addq	$24, %rsp
	cmpl	%eax, (%rsp)
	jmp	elsewhere
.L1:
	cmpl	$3, %edi
	leaq	24(%rsp), %rsp
	movq	%rax, -136(%rsp)
	jne	elsewhere
	pushq	%rbp
	movl	%esp, %ebp
	andq	$-64, %rsp
	subq	$300000, %rsp
	cmpl	%eax, (%rsp)
	subq	$300000, %rsp
	leal	16(%rsp), %eax
	movq	%gs:(%esp,%eax,8), %rcx
	movl	%gs:600000(%esp), %ecx
	movl	%esp, %r11d
	cmpq	%r11, %rcx
	movl	%esp, %r11d
	pushq	%r11
	popq	%rax
	movl	%ebp, %esp
	andl	%gs:0x4010038, %esp
	addq	%gs:0x4010040, %rsp
	popq	%rbp
	retq
	.size	f, .-f
