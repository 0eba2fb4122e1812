	.text
	.type	f, @function
f:
	cmpq	$1, %rax
	ja	.Ltmebox1
	jmp	*.Ltmebox_table0(,%eax,8)
	.p2align	6, , 24
.L3:
	leal	.L5(,%rdx,8), %r14d
	movl	(%r15,%r14), %r11d
	testb	$32, 0x7fff0000(%r11)
	je	.Ltmebox1
	jmp	*%r11
	.p2align	6, , 18
.L2:
	movl	(%rsp), %r11d
	testb	$8, 0x7fff0000(%r11)
	je	.Ltmebox1
	movq	%r11, (%rsp)
	retq
.Ltmebox1:
	hlt
	.size	f, .-f
	.section	.rodata
	.align	8
	.align	4
.L4:
	.section	.data.rel.ro.local,"aw"
.L5:
	.quad	.L2
	.ident	"GCC: (Debian 12.2.0-14) 12.2.0"
	.section	.tmebox.tables.0,"ax",@progbits
	.p2align	3
.Ltmebox_table0:
	.quad	.L3
	.quad	.L2
