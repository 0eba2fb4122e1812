	.text
	.type	list,@function
list:
	.p2align	6, , 21
.Llist:
	movl	%edi, %r11d
	movq	%gs:0x4010000, %r10
	movq	8(%r10,%r11), %rdi
	testq	%rdi, %rdi
	jne	.Llist
	retq
	.size	list, .-list
	.type	keeps_its_pointer,@function
keeps_its_pointer:
	.p2align	6, , 29
.Lkeeps:
	movq	%rax, %rsi
	movl	%esi, %r11d
	movq	%gs:0x4010000, %r10
	movq	16(%r10,%r11), %rax
	addq	%gs:(%esi), %rdx
	testq	%rax, %rax
	jne	.Lkeeps
	movq	%rdx, %rax
	retq
	.size	keeps_its_pointer, .-keeps_its_pointer
	.type	checksum,@function
checksum:
	movl	$-1, %eax
	movq	%gs:0x4010000, %r10
	.p2align	6, , 28
.Lchecksum:
	movzbl	%gs:(%edi), %ecx
	xorl	%eax, %ecx
	shrl	$8, %eax
	movzbl	%cl, %edx
	xorl	table(%r10,%rdx,4), %eax
	incq	%rdi
	decq	%rsi
	jne	.Lchecksum
	retq
	.size	checksum, .-checksum
	.type	index_stays,@function
index_stays:
	.p2align	6, , 31
.Lsource_overwritten:
	movzbl	%al, %edx
	shrl	$8, %eax
	movzbl	%dl, %r8d
	movq	%gs:0x4010000, %r10
	xorl	table(%r10,%r8,4), %eax
	decq	%rsi
	jne	.Lsource_overwritten
	movq	%gs:0x4010000, %r9
	.p2align	6, , 21
.Lread_between:
	movzbl	%al, %edx
	addl	%edx, %ecx
	movzbl	%dl, %r8d
	xorl	table(%r9,%r8,4), %eax
	decq	%rsi
	jne	.Lread_between
	.p2align	6, , 36
.Lflags_between:
	movl	%eax, %edx
	andl	$255, %edx
	sete	%cl
	movzbl	%dl, %r8d
	movq	%gs:0x4010000, %r10
	xorl	table(%r10,%r8,4), %eax
	decq	%rsi
	jne	.Lflags_between
.Lscratch_between:
	movzbl	%r11b, %edx
	movq	%r10, -152(%rsp)
	leal	(%rdi), %r10d
	movslq	%eax, %r11
	sarq	$3, %r11
	andq	$-4, %r11
	addq	%r10, %r11
	movl	%gs:(%r11d), %r10d
	btl	%eax, %r10d
	movq	-152(%rsp), %r10
	movzbl	%dl, %r11d
	movq	%gs:0x4010000, %r10
	movl	table(%r10,%r11,4), %r11d
	decq	%rsi
	jne	.Lscratch_between
	movq	%gs:0x4010000, %r9
	.p2align	6, , 36
.Lload_between:
	movl	%ecx, %r11d
	movzbl	(%r9,%r11), %edx
	movb	%al, %gs:(%edi)
	movzbl	%dl, %r11d
	xorl	table(%r9,%r11,4), %eax
	leaq	table(,%rax,4), %rcx
	decq	%rsi
	jne	.Lload_between
	retq
	.size	index_stays, .-index_stays
	.type	in_place,@function
in_place:
	.p2align	6, , 29
.Lin_place:
	movl	%eax, %ecx
	shll	$8, %eax
	shrl	$24, %ecx
	movq	%gs:0x4010000, %r11
	xorl	table(%r11,%rcx,4), %eax
	decq	%rsi
	jne	.Lin_place
	retq
	.size	in_place, .-in_place
	.type	scaled,@function
scaled:
	.p2align	6, , 9
.Lscaled:
	movl	%gs:(%edi,%eax,4), %eax
	decq	%rsi
	jne	.Lscaled
	retq
	.size	scaled, .-scaled
	.type	far,@function
far:
	.p2align	6, , 13
.Lfar:
	movq	%gs:symbol(%eax), %rax
	testq	%rax, %rax
	jne	.Lfar
	retq
	.size	far, .-far
	.type	not_waited_for,@function
not_waited_for:
	.p2align	6, , 12
.Lnot_waited_for:
	addl	%gs:(%edi), %eax
	addq	$4, %rdi
	decq	%rsi
	jne	.Lnot_waited_for
	retq
	.size	not_waited_for, .-not_waited_for
	.type	calls,@function
calls:
	pushq	%rbx
.Lcalls:
	movq	%gs:(%ebx), %rbx
	callq	list
	testq	%rbx, %rbx
	jne	.Lcalls
	popq	%rbx
	retq
	.size	calls, .-calls
	.type	no_register_free,@function
no_register_free:
	.p2align	6, , 30
.Lno_register_free:
	movq	%gs:(%eax), %rax
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
	andl	$0, %eax
	jmp	*.Ltmebox_table0(,%eax,8)
.Lfirst:
	addl	%r11d, %ecx
	movl	%ecx, %eax
	retq
	.size	dispatch, .-dispatch
	.section	.rodata,"a",@progbits
.Ltable:
	.section	.tmebox.tables.0,"ax",@progbits
	.p2align	3
.Ltmebox_table0:
	.quad	.Lfirst
	.section	.tmebox.facts,"",@progbits
	.quad	.Lchecksum, 2624
	.quad	.Lread_between, 2368
	.quad	.Lload_between, 2368

	.section	.tmebox.depths,"",@progbits
	.quad	list, 0
	.quad	keeps_its_pointer, 2147483648
	.quad	checksum, 2147483648
	.quad	.Lchecksum, 0
	.quad	index_stays, 2147483648
	.quad	.Lread_between, 0
	.quad	.Lflags_between, 0
	.quad	.Lscratch_between, 0
	.quad	.Lload_between, 0
	.quad	in_place, 2147483648
	.quad	scaled, 2147483648
	.quad	far, 2147483648
	.quad	not_waited_for, 2147483648
	.quad	calls, 2147483648
	.quad	.Lcalls, 8
	.quad	no_register_free, 2147483648
	.quad	dispatch, 2147483648
	.quad	.Lfirst, 0
