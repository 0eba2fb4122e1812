	.text
	.globl	stack
	.type	stack, @function
stack:
	pushq	%rbp
	movq	%rsp, %rbp
	subq	$400000, %rsp
	subq	%rax, %rsp
	movq	8(%rdi), %rsp
	andq	$-32, %rsp
	movl	%edi, %edi
	rep stosq
	rep movsb
	leave
	ret
	.size	stack, .-stack
