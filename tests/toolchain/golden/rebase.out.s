	.text
	.type	f,@function
f:
	movl	%ebx, %esp
	andl	$0x3fffffff, %esp
	addq	%gs:0x4010000, %rsp
	movl	%gs:-48(%ebp), %esp
	andl	$0x3fffffff, %esp
	addq	%gs:0x4010000, %rsp
	leal	-40(%rbp), %esp
	andl	$0x3fffffff, %esp
	addq	%gs:0x4010000, %rsp
	subl	%eax, %esp
	andl	$0x3fffffff, %esp
	addq	%gs:0x4010000, %rsp
	subl	$700000, %esp
	andl	$0x3fffffff, %esp
	addq	%gs:0x4010000, %rsp
	popq	%r11
	movl	%r11d, %esp
	andl	$0x3fffffff, %esp
	addq	%gs:0x4010000, %rsp
	movl	%esp, %r11d
	negq	%r11
	movl	%r11d, %esp
	andl	$0x3fffffff, %esp
	addq	%gs:0x4010000, %rsp
	movl	%esp, %r11d
	movl	%eax, %esp
	andl	$0x3fffffff, %esp
	addq	%gs:0x4010000, %rsp
	movq	%r11, %rax
	movl	%ebx, %esp
	andl	$0x3fffffff, %esp
	addq	%gs:0x4010000, %rsp
	cmpl	%eax, %ecx
	jle	.L1
	cmpl	%eax, %ecx
	movl	%eax, %edx
	setg	%r11b
	movl	%ebx, %esp
	andl	$0x3fffffff, %esp
	addq	%gs:0x4010000, %rsp
	testb	%r11b, %r11b
	jle	.L1
.L1:
	movl	(%rsp), %r11d
	testb	$1, 0x7fff0000(%r11)
	je	.Ltmebox1
	movq	%r11, (%rsp)
	retq
.Ltmebox1:
	hlt
	.size	f, .-f
