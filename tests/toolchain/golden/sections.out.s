	.file	"a.c"
	.file	1 "dir" "a.c"
	.text
	.globl	"quoted name", other.name$1
	.p2align	4, 0x90
"quoted name":
	.loc	1 3 5
	.cfi_startproc
1:
	jmp	1b
	ud2
	.cfi_endproc
	.pushsection	.rodata.str1.1,"aMS",@progbits,1
	.asciz	"semi;colon # and hash"
	.popsection
	.set	alias, "quoted name"
	.weak	alias
	.section	.init_array,"aw",@init_array
	.quad	"quoted name"
	.comm	shared,8,8
	.ident	"clang version 19"
	.section	".note.GNU-stack","",@progbits

	.section	.tmebox.depths,"",@progbits
	.quad	"quoted name", 2147483648
