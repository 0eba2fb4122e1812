	.text
	.type	f, @function
f:
	jmp	*.L4(,%rax,8)
.L3:
	jmp	*.L5(,%rdx,8)
.L2:
	ret
	.size	f, .-f
	.section	.rodata
	.align 8
	.align 4
.L4:
	.quad	.L3
	.quad	.L2
	.section	.data.rel.ro.local,"aw"
.L5:
	.quad	.L2
	.ident	"GCC: (Debian 12.2.0-14) 12.2.0"
