# Labels whose difference alone is in data or in an instruction: claimed, since a sum can lead there.
	.text
f:
	movslq	.Loffsets(,%rax,4), %rax
	addq	$.La, %rax
	jmpq	*%rax
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
	.section	.debug_info,"",@progbits
	.long	.Lunclaimed-.La
