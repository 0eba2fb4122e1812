	.text
	.globl	stack
	.type	stack, @function
stack:
	pushq	%rbp
	movl	%esp, %ebp
	subq	$400000, %rsp
	cmpl	%eax, (%rsp)
	movq	%r11, -136(%rsp)
	movl	%esp, %r11d
	subq	%rax, %r11
	cmpq	0x4010048(%r15), %r11
	movq	-136(%rsp), %r11
	jbe	.Ltmebox1
	cmpl	%eax, 0xffff8(%r15)
.Ltmebox1:
	subl	%eax, %esp
	andl	0x4010038(%r15), %esp
	addq	0x4010040(%r15), %rsp
	movl	%edi, %r14d
	cmpl	$0, 8+4(%r15,%r14)
	je	.Ltmebox2
	cmpl	%eax, 0xffff8(%r15)
.Ltmebox2:
	movl	%edi, %r14d
	movl	8(%r15,%r14), %esp
	andl	0x4010038(%r15), %esp
	addq	0x4010040(%r15), %rsp
	andq	$-32, %rsp
	cmpl	%eax, (%rsp)
	movl	%edi, %edi
	movl	%edi, %edi
	leaq	(%r15,%rdi), %rdi
	rep stosq
	movl	%edi, %edi
	movl	%edi, %edi
	movl	%esi, %esi
	leaq	(%r15,%rdi), %rdi
	leaq	(%r15,%rsi), %rsi
	rep movsb
	movl	%edi, %edi
	movl	%esi, %esi
	movl	%ebp, %esp
	andl	0x4010038(%r15), %esp
	addq	0x4010040(%r15), %rsp
	popq	%rbp
	movl	(%rsp), %r11d
	testb	$8, 0x7fff0000(%r11)
	je	.Ltmebox3
	movq	%r11, (%rsp)
	retq
.Ltmebox3:
	hlt
	.size	stack, .-stack
