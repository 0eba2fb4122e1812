	.text
	.globl	control
	.type	control, @function
control:
	callq	*8(%rdi)
	callq	*%rax
	cmpl	$3, %esi
	ja	.Ldefault
	jmp	*.Ltable(,%rsi,8)
.Lone:
	movq	%r11, %rax
.Ldefault:
	jmp	*16(%rdi)	# TAILCALL
	.size	control, .-control
	.type	returning, @function
returning:
	movl	$1, %r11d
	jmp	*.Ltable(,%rsi,8)
	.size	returning, .-returning
	.data
.Ltable:
	.quad	.Lone
	.quad	.Ldefault
	.quad	control
