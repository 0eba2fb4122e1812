	.text
	.type	f,@function
f:
	movl	%eax, %r11d
	testb	$2, 0x7fff0000(%r11)
	je	.Ltmebox2
	callq	*%r11
	movl	%gs:8(%edi), %r11d
	testb	$2, 0x7fff0000(%r11)
	je	.Ltmebox2
	callq	*%r11
	movl	%gs:sym(%rip), %r11d
	testb	$2, 0x7fff0000(%r11)
	je	.Ltmebox2
	callq	*%r11
	movl	%gs:.Ltable(,%eax,8), %ecx
	testb	$4, 0x7fff0000(%rcx)
	je	.Ltmebox2
	jmp	*%rcx
.Ltmebox2:
	hlt
	.p2align	6, , 22
.La:
	addl	%r11d, %eax
	movl	%gs:.Ltable(,%eax,8), %ecx
	testb	$4, 0x7fff0000(%rcx)
	je	.Ltmebox2
	jmp	*%rcx
	.p2align	6, , 17
.Lb:
	movl	$.Lc, %ecx
	movl	%ecx, %ecx
	testb	$4, 0x7fff0000(%rcx)
	je	.Ltmebox2
	jmp	*%rcx
	.p2align	6, , 21
.Lc:
	addl	%r11d, %eax
	movl	$5, %r11d
	movl	%edx, %edx
	testb	$4, 0x7fff0000(%rdx)
	je	.Ltmebox1
	jmp	*%rdx
	movl	%edx, %r11d
	testb	$2, 0x7fff0000(%r11)
	je	.Ltmebox1
	jmp	*%r11
	movl	%edx, %r11d
	testb	$1, 0x7fff0000(%r11)
	je	.Ltmebox1
	jmp	*%r11
	movl	(%rsp), %r11d
	testb	$1, 0x7fff0000(%r11)
	je	.Ltmebox1
	movq	%r11, (%rsp)
	retq
.Ltmebox1:
	hlt
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
