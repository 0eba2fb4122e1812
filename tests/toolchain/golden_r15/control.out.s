	.text
	.globl	control
	.type	control, @function
control:
	movl	%edi, %r14d
	movl	8(%r15,%r14), %r11d
	testb	$16, 0x7fff0000(%r11)
	je	.Ltmebox1
	callq	*%r11
	movl	%eax, %r11d
	testb	$16, 0x7fff0000(%r11)
	je	.Ltmebox1
	callq	*%r11
	cmpl	$3, %esi
	ja	.Ldefault
	leal	.Ltable(,%rsi,8), %r14d
	movq	%r11, -136(%rsp)
	movl	(%r15,%r14), %r11d
	testb	$32, 0x7fff0000(%r11)
	je	.Ltmebox1
	movq	%r11, -128(%rsp)
	movq	-136(%rsp), %r11
	jmp	*-128(%rsp)
.Ltmebox1:
	hlt
.Lone:
	movq	%r11, %rax
.Ldefault:
	movl	%edi, %r14d
	movl	16(%r15,%r14), %r11d
	testb	$16, 0x7fff0000(%r11)
	je	.Ltmebox1
	jmp	*%r11
	.size	control, .-control
	.type	returning, @function
returning:
	movl	$1, %r11d
	leal	.Ltable(,%rsi,8), %r14d
	movl	(%r15,%r14), %r11d
	testb	$32, 0x7fff0000(%r11)
	je	.Ltmebox1
	jmp	*%r11
	.size	returning, .-returning
	.data
.Ltable:
	.quad	.Lone
	.quad	.Ldefault
	.quad	control
