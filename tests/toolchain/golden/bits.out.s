	.text
f:
	btl	$3, %gs:(%edi)
	btq	%rax, %rcx
	movq	%r10, -152(%rsp)
	leal	64(%rdi,%rcx,4), %r10d
	movslq	%esi, %r11
	sarq	$3, %r11
	andq	$-4, %r11
	addq	%r10, %r11
	movl	%gs:(%r11d), %r10d
	btl	%esi, %r10d
	movq	-152(%rsp), %r10
	movq	%r10, -152(%rsp)
	movl	$sym, %r10d
	movq	%rax, %r11
	sarq	$3, %r11
	andq	$-8, %r11
	addq	%r10, %r11
	movq	%gs:(%r11d), %r10
	btsq	%rax, %r10
	movq	%r10, %gs:(%r11d)
	movq	-152(%rsp), %r10
	movq	%r10, -152(%rsp)
	movq	%r9, -160(%rsp)
	movq	%rax, -168(%rsp)
	leal	-72357944(%rsp), %r10d
	movq	%rcx, %r11
	sarq	$3, %r11
	andq	$-8, %r11
	addq	%r10, %r11
	movq	%rcx, %r10
	movq	%gs:(%r11d), %rax
.Ltmebox1:
	movq	%rax, %r9
	btrq	%r10, %r9
	lock cmpxchgq	%r9, %gs:(%r11d)
	jne	.Ltmebox1
	btq	%r10, %rax
	movq	-152(%rsp), %r10
	movq	-160(%rsp), %r9
	movq	-168(%rsp), %rax
	ud2

	.section	.tmebox.depths,"",@progbits
	.quad	f, 2147483648
	.quad	.Ltmebox1, 0
