	.text
f:
	movslq	%gs:.Loffsets(,%eax,4), %rax
	addq	$.La, %rax
	movl	%eax, %r11d
	testb	$6, 0x7fff0000(%r11)
	je	.Ltmebox1
	jmp	*%r11
.La:
	addl	$3, %ecx
	movl	$.Lb-.La, %eax
.Lb:
	imull	$5, %ecx, %ecx
.Lc:
	leaq	.Ld-.Lb(%rdx), %rdx
	movl	(%rsp), %r11d
	testb	$1, 0x7fff0000(%r11)
	je	.Ltmebox1
	movq	%r11, (%rsp)
	retq
.Ltmebox1:
	hlt
.Ld:
	ud2
.Lunclaimed:
	ud2
	.section	.rodata,"a",@progbits
.Loffsets:
	.long	.La-.La, .Lb-.La
	.long	(.Lc-.La)*2
	.set	.Lsize, .Loffsets_end-.Loffsets
	.long	.Lsize
.Loffsets_end:
	.section	.debug_info,"",@progbits
	.long	.Lunclaimed-.La
	.section	.tmebox.labels,"",@progbits
	.quad	.Lb
	.quad	.La
	.quad	.Ld
	.quad	.Lc
