	.text
	.globl	f
	.type	f,@function
f:
	movzbl	-1, %eax
	movq	%rax, -8
	movq	8(%rax,%rcx,4), %rdx
	movups	%xmm1, -16(%r13)
	addl	$1, sym+4(%rip)
	movl	sym, %eax
	movl	%eax, table-8(,%r9,8)
	cmpb	$0, 4096
	movabsl	4294967280, %eax
	movabsq	%rax, 0x123456789
	leaq	-8(%rdi,%rsi,2), %rax
	leaq	sym+12(%rip), %r8
	movq	other@GOTPCREL(%rip), %rbx
	cmpq	other@GOTPCREL(%rip), %rbx
	cmoveq	other@GOTPCREL(%rip), %rbx
	pushq	(%rdi)
	popq	8(%rdi)
	prefetcht0	64(%rdi)
	lock
	cmpxchgl	%ecx, (%rdx)
	callq	elsewhere@PLT
	ud2
	.size	f, .-f
