	.text
	.type	f,@function
f:
	cmpq	%gs:0x4010048, %rbx
	jbe	.Ltmebox1
	cmpl	%eax, %gs:0xffff8
.Ltmebox1:
	movl	%ebx, %esp
	andl	%gs:0x4010038, %esp
	addq	%gs:0x4010040, %rsp
	cmpl	$0, %gs:-48+4(%ebp)
	je	.Ltmebox2
	cmpl	%eax, %gs:0xffff8
.Ltmebox2:
	movl	%gs:-48(%ebp), %esp
	andl	%gs:0x4010038, %esp
	addq	%gs:0x4010040, %rsp
	leal	-40(%rbp), %esp
	andl	%gs:0x4010038, %esp
	addq	%gs:0x4010040, %rsp
	movq	%r11, -136(%rsp)
	movl	%esp, %r11d
	subq	%rax, %r11
	cmpq	%gs:0x4010048, %r11
	movq	-136(%rsp), %r11
	jbe	.Ltmebox3
	cmpl	%eax, %gs:0xffff8
.Ltmebox3:
	subl	%eax, %esp
	andl	%gs:0x4010038, %esp
	addq	%gs:0x4010040, %rsp
	cmpl	$0xaae60, %esp
	jae	.Ltmebox4
	cmpl	%eax, %gs:0xffff8
.Ltmebox4:
	subl	$700000, %esp
	andl	%gs:0x4010038, %esp
	addq	%gs:0x4010040, %rsp
	popq	%r11
	movl	%r11d, %esp
	andl	%gs:0x4010038, %esp
	addq	%gs:0x4010040, %rsp
	movl	%esp, %r11d
	negq	%r11
	movl	%r11d, %esp
	andl	%gs:0x4010038, %esp
	addq	%gs:0x4010040, %rsp
	movl	%esp, %r11d
	movl	%eax, %esp
	andl	%gs:0x4010038, %esp
	addq	%gs:0x4010040, %rsp
	movq	%r11, %rax
	cmpq	%gs:0x4010048, %rbx
	jbe	.Ltmebox5
	cmpl	%eax, %gs:0xffff8
.Ltmebox5:
	movl	%ebx, %esp
	andl	%gs:0x4010038, %esp
	addq	%gs:0x4010040, %rsp
	cmpl	%eax, %ecx
	jle	.L1
	cmpl	%eax, %ecx
	movl	%eax, %edx
	setg	%r11b
	cmpq	%gs:0x4010048, %rbx
	jbe	.Ltmebox6
	cmpl	%eax, %gs:0xffff8
.Ltmebox6:
	movl	%ebx, %esp
	andl	%gs:0x4010038, %esp
	addq	%gs:0x4010040, %rsp
	testb	%r11b, %r11b
	jle	.L1
.L1:
	retq
	.size	f, .-f
