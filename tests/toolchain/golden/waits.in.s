# clang version 19: what stands here is a compiler's, so its functions obey the calling convention.
	.text
	.type	list,@function
list:
.Llist:
	movq	8(%rdi), %rdi
	testq	%rdi, %rdi
	jne	.Llist
	retq
	.size	list, .-list
	.type	keeps_its_pointer,@function
keeps_its_pointer:
.Lkeeps:
	movq	%rax, %rsi
	movq	16(%rsi), %rax
	addq	(%rsi), %rdx
	testq	%rax, %rax
	jne	.Lkeeps
	movq	%rdx, %rax
	retq
	.size	keeps_its_pointer, .-keeps_its_pointer
	.type	checksum,@function
checksum:
	movl	$-1, %eax
.Lchecksum:
	movzbl	(%rdi), %ecx
	xorl	%eax, %ecx
	movzbl	%cl, %edx
	shrl	$8, %eax
	xorl	table(,%rdx,4), %eax
	incq	%rdi
	decq	%rsi
	jne	.Lchecksum
	retq
	.size	checksum, .-checksum
	.type	index_stays,@function
index_stays:
.Lsource_overwritten:
	movzbl	%al, %edx
	shrl	$8, %eax
	xorl	table(,%rdx,4), %eax
	decq	%rsi
	jne	.Lsource_overwritten
.Lread_between:
	movzbl	%al, %edx
	addl	%edx, %ecx
	xorl	table(,%rdx,4), %eax
	decq	%rsi
	jne	.Lread_between
.Lflags_between:
	movl	%eax, %edx
	andl	$255, %edx
	sete	%cl
	xorl	table(,%rdx,4), %eax
	decq	%rsi
	jne	.Lflags_between
.Lscratch_between:
	movzbl	%r11b, %edx
	btl	%eax, (%rdi)
	movl	table(,%rdx,4), %r11d
	decq	%rsi
	jne	.Lscratch_between
.Lload_between:
	movzbl	(%rcx), %edx
	movb	%al, (%rdi)
	xorl	table(,%rdx,4), %eax
	leaq	table(,%rax,4), %rcx
	decq	%rsi
	jne	.Lload_between
	retq
	.size	index_stays, .-index_stays
	.type	in_place,@function
in_place:
.Lin_place:
	movl	%eax, %ecx
	shll	$8, %eax
	shrl	$24, %ecx
	xorl	table(,%rcx,4), %eax
	decq	%rsi
	jne	.Lin_place
	retq
	.size	in_place, .-in_place
	.type	scaled,@function
scaled:
.Lscaled:
	movl	(%rdi,%rax,4), %eax
	decq	%rsi
	jne	.Lscaled
	retq
	.size	scaled, .-scaled
	.type	far,@function
far:
.Lfar:
	movq	symbol(%rax), %rax
	testq	%rax, %rax
	jne	.Lfar
	retq
	.size	far, .-far
	.type	not_waited_for,@function
not_waited_for:
.Lnot_waited_for:
	addl	(%rdi), %eax
	addq	$4, %rdi
	decq	%rsi
	jne	.Lnot_waited_for
	retq
	.size	not_waited_for, .-not_waited_for
	.type	calls,@function
calls:
	pushq	%rbx
.Lcalls:
	movq	(%rbx), %rbx
	callq	list
	testq	%rbx, %rbx
	jne	.Lcalls
	popq	%rbx
	retq
	.size	calls, .-calls
	.type	no_register_free,@function
no_register_free:
.Lno_register_free:
	movq	(%rax), %rax
	addq	%rcx, %rdx
	addq	%rbx, %rsi
	addq	%rbp, %rdi
	addq	%r8, %r9
	addq	%r10, %r11
	addq	%r12, %r13
	addq	%r14, %r15
	testq	%rax, %rax
	jne	.Lno_register_free
	leaq	(%r11,%rsi), %rax
	addq	%rdi, %rax
	addq	%r9, %rax
	addq	%r8, %rax
	addq	%r10, %rax
	retq
	.size	no_register_free, .-no_register_free
	.type	dispatch,@function
dispatch:
	addl	%r11d, %eax
	jmpq	*.Ltable(,%rax,8)
.Lfirst:
	addl	%r11d, %ecx
	movl	%ecx, %eax
	retq
	.size	dispatch, .-dispatch
	.section	.rodata,"a",@progbits
.Ltable:
	.quad	.Lfirst
