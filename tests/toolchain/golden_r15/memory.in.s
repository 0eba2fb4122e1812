	.text
	.globl	memory
	.type	memory, @function
memory:
	movzbl	-1, %eax
	movq	%rax, -8
	movq	(%rdi), %rax
	movq	8(%rdi), %rcx
	movl	%eax, -8(%rdi,%rsi,4)
	addl	12(%rdi,%rsi,4), %edx
	movq	table(,%rcx,8), %rcx
	movl	counter(%rip), %eax
	movl	%eax, counter+4
	movzbl	1048576(%rdi), %eax
	lock xaddl	%eax, (%rdx)
	pushq	8(%rdi)
	popq	16(%rdi)
	movb	%ah, 3(%rdi)
	xorb	(%rbx), %bh
	movl	%fs:local@tpoff, %eax
	leaq	8(%rdi,%rsi,2), %rdx
	leaq	counter(%rip), %rdi
	movl	8(%rsp), %ecx
	movl	8(%rsp,%rcx,4), %ecx
	btsq	%rax, (%rdi)
	movups	(%rsi), %xmm0
	movabsl	4294967280, %eax
	movabsq	%rax, 0x123456789
	ret
	.size	memory, .-memory
	.bss
counter:
	.zero	8
table:
	.zero	64
local:
	.zero	4
