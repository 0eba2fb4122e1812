	.text
f:
	movslq	%gs:.Loffsets(,%eax,4), %rax
	addq	$.La, %rax
	movl	%eax, %r11d
	cmpb	$1, 0x7fff0000(%r11)
	jne	.Ltmebox1
	jmp	*%r11
.Ltmebox1:
	hlt
.La:
	addl	$3, %ecx
	movl	$.Lb-.La, %eax
.Lb:
	imull	$5, %ecx, %ecx
.Lc:
	leaq	.Ld-.Lb(%rdx), %rdx
	retq
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

	.section	.tmebox.depths,"",@progbits
	.quad	f, 2147483648
	.quad	.La, 0
	.quad	.Lb, 0
	.quad	.Lc, 0
	.section	.debug_info,"",@progbits
	.long	.Lunclaimed-.La
	.section	.tmebox.labels,"",@progbits
	.quad	.Lb
	.quad	.La
	.quad	.Ld
	.quad	.Lc
