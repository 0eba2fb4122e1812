	.text
	.type	f,@function
f:
	movl	%eax, %r11d
	testb	$2, 0x7fff0000(%r11)
	je	.Ltmebox1
	callq	*%r11
	movl	%gs:8(%edi), %r11d
	testb	$2, 0x7fff0000(%r11)
	je	.Ltmebox1
	callq	*%r11
	movl	%gs:sym(%rip), %r11d
	testb	$2, 0x7fff0000(%r11)
	je	.Ltmebox1
	callq	*%r11
	movl	%gs:.Ltable(,%eax,8), %ecx
	cmpb	$1, 0x7fff0000(%rcx)
	jne	.Ltmebox1
	jmp	*%rcx
.Ltmebox1:
	hlt
	.p2align	6, , 22
.La:
	addl	%r11d, %eax
	movl	%gs:.Ltable(,%eax,8), %ecx
	cmpb	$1, 0x7fff0000(%rcx)
	jne	.Ltmebox1
	jmp	*%rcx
	.p2align	6, , 17
.Lb:
	movl	$.Lc, %ecx
	movl	%ecx, %ecx
	cmpb	$1, 0x7fff0000(%rcx)
	jne	.Ltmebox1
	jmp	*%rcx
	.p2align	6, , 21
.Lc:
	addl	%r11d, %eax
	movl	$5, %r11d
	movl	%edx, %edx
	cmpb	$1, 0x7fff0000(%rdx)
	jne	.Ltmebox1
	jmp	*%rdx
	.p2align	6, , 29
.Ltmebox2:
	hlt
	movl	%edx, %r11d
	testb	$2, 0x7fff0000(%r11)
	je	.Ltmebox2
	jmp	*%r11
	movl	%edx, %r11d
	cmpb	$1, 0x7fff0000(%r11)
	jne	.Ltmebox2
	jmp	*%r11
	retq
	.size	f, .-f
	.section	.text.g,"ax",@progbits
	.type	g,@function
g:
	movl	%ebx, %r11d
	testb	$2, 0x7fff0000(%r11)
	je	.Ltmebox3
	callq	*%r11
.Ltmebox3:
	hlt
	.size	g, .-g
	.data
.Ltable:
	.quad	.La
	.quad	.Lb

	.section	.tmebox.depths,"",@progbits
	.quad	f, 2147483648
	.quad	.La, 0
	.quad	.Lb, 0
	.quad	.Lc, 0
	.quad	g, 2147483648
