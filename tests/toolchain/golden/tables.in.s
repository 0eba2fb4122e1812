	.text
	# -- Begin function f
	.type	f,@function
f:
	jmpq	*.Ltable(,%rax,8)
.La:
	movl	$1, %eax
	jmpq	*.Ltable(,%r9,8)
.Lb:
	jmpq	*named(,%rcx,8)
.Lc:
	jmpq	*.Lread(,%rdx,8)
.Ld:
	movq	.Lread(,%rax,8), %rax
	jmpq	*.Lgaps(,%rsi,8)
.Le:
	jmpq	*.Lwritable(,%rsi,8)
.Lf:
	jmpq	*shared(,%rsi,8)
.Lg:
	jmpq	*.Lelsewhere(,%rsi,8)
.Lh:
	jmpq	*.Ltable(,%ecx,8)
.Li:
	jmpq	*.Ltable(,%rcx,4)
.Lj:
	jmpq	*.Ltable+8(,%rcx,8)
	.type	g,@function
g:
	callq	*.Lcalled(,%rcx,8)
	jmpq	*.Lcalled(,%rcx,8)
	.size	f, .-f
	.section	.rodata,"a",@progbits
	.p2align	3
.Ltable:
	.quad	.La
	.quad	.Lb, .Lc
	.p2align	4
	.quad	7
	.type	named,@object
named:
	.quad	.La
	.size	named, 8
.Lread:
	.quad	.La
.Lgaps:
	.quad	.La
	.quad	0
	.quad	.Lb
.Lcalled:
	.quad	.La
	.globl	shared
shared:
	.quad	.La
.Lelsewhere:
	.quad	.La
	.quad	somewhere
	.data
.Lwritable:
	.quad	.La
