	.text
	.type	f,@function
f:
	andl	$3, %eax
	jmp	*.Ltmebox_table0(,%eax,8)
.Ltmebox1:
	hlt
.La:
	movl	$1, %eax
	andl	$3, %r9d
	jmp	*.Ltmebox_table0(,%r9d,8)
.Lb:
	andl	$0, %ecx
	jmp	*.Ltmebox_table1(,%ecx,8)
.Lc:
	andl	$0, %edx
	jmp	*.Ltmebox_table2(,%edx,8)
.Ld:
	movq	%gs:.Lread(,%eax,8), %rax
	movl	%gs:.Lgaps(,%esi,8), %r11d
	cmpb	$1, 0x7fff0000(%r11)
	jne	.Ltmebox2
	jmp	*%r11
	.p2align	6, , 43
.Ltmebox2:
	hlt
.Le:
	movl	%gs:.Lwritable(,%esi,8), %r11d
	cmpb	$1, 0x7fff0000(%r11)
	jne	.Ltmebox2
	jmp	*%r11
.Lf:
	movl	%gs:shared(,%esi,8), %r11d
	cmpb	$1, 0x7fff0000(%r11)
	jne	.Ltmebox2
	jmp	*%r11
.Lg:
	movl	%gs:.Lelsewhere(,%esi,8), %r11d
	cmpb	$1, 0x7fff0000(%r11)
	jne	.Ltmebox2
	jmp	*%r11
.Lh:
	movl	%gs:.Ltable(,%ecx,8), %r11d
	cmpb	$1, 0x7fff0000(%r11)
	jne	.Ltmebox2
	jmp	*%r11
.Li:
	movl	%gs:.Ltable(,%ecx,4), %r11d
	cmpb	$1, 0x7fff0000(%r11)
	jne	.Ltmebox3
	jmp	*%r11
	.p2align	6, , 20
.Ltmebox3:
	hlt
.Lj:
	movl	%gs:.Ltable+8(,%ecx,8), %r11d
	cmpb	$1, 0x7fff0000(%r11)
	jne	.Ltmebox3
	jmp	*%r11
	.type	g,@function
g:
	movl	%gs:.Lcalled(,%ecx,8), %r11d
	testb	$2, 0x7fff0000(%r11)
	je	.Ltmebox3
	callq	*%r11
	andl	$0, %ecx
	jmp	*.Ltmebox_table3(,%ecx,8)
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
	.section	.tmebox.tables.0,"ax",@progbits
	.p2align	3
.Ltmebox_table0:
	.quad	.La
	.quad	.Lb
	.quad	.Lc
	.quad	.Ltmebox1
	.section	.tmebox.tables.1,"ax",@progbits
	.p2align	3
.Ltmebox_table1:
	.quad	.La
	.section	.tmebox.tables.2,"ax",@progbits
	.p2align	3
.Ltmebox_table2:
	.quad	.La
	.section	.tmebox.tables.3,"ax",@progbits
	.p2align	3
.Ltmebox_table3:
	.quad	.La

	.section	.tmebox.depths,"",@progbits
	.quad	f, 2147483648
	.quad	.La, 0
	.quad	.Lb, 0
	.quad	.Lc, 0
	.quad	g, 2147483648
