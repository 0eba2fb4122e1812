	.text
f:
	btl	$3, (%rdi)
	btq	%rax, %rcx
	btl	%esi, 64(%rdi,%rcx,4)
	btsq	%rax, sym(%rip)
	lock btrq	%rcx, 8(%rsp)
	ud2
