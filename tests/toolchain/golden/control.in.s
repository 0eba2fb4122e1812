	.text
	# -- Begin function f
	.type	f,@function
f:
	callq	*%rax
	callq	*8(%rdi)
	callq	*sym(%rip)
	notrack	jmpq	*.Ltable(,%rax,8)
.La:
	addl	%r11d, %eax
	jmpq	*.Ltable(,%rax,8)
.Lb:
	movl	$.Lc, %ecx
	jmpq	*%rcx
.Lc:
	addl	%r11d, %eax
	movl	$5, %r11d
	jmpq	*%rdx
	jmpq	*%rdx                           # TAILCALL
	jmpq	*%rdx                           # LONGJMP
	repz	ret
	.size	f, .-f
	.section	.text.g,"ax",@progbits
	.type	g,@function
g:
	callq	*%rbx
	.size	g, .-g
	.data
.Ltable:
	.quad	.La
	.quad	.Lb
