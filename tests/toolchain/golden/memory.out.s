	.text
	.globl	f
	.type	f,@function
f:
	movzbl	%gs:0, %eax
	movq	%rax, %gs:0
	movq	%gs:8(%eax,%ecx,4), %rdx
	movups	%xmm1, %gs:-16(%r13d)
	addl	$1, %gs:sym+4(%rip)
	movl	%gs:sym(%rip), %eax
	movl	%eax, %gs:table-8(,%r9d,8)
	cmpb	$0, %gs:4096
	movl	$0xfffffff0, %r11d
	movl	%gs:(%r11d), %eax
	movl	$0x23456789, %r11d
	movq	%rax, %gs:(%r11d)
	leaq	-8(%rdi,%rsi,2), %rax
	movl	$sym+12, %r8d
	movl	$other, %ebx
	cmpq	$other, %rbx
	movl	$other, %r11d
	cmoveq	%r11, %rbx
	pushq	%gs:(%edi)
	popq	%gs:8(%edi)
	prefetcht0	%gs:64(%edi)
	lock cmpxchgl	%ecx, %gs:(%edx)
	callq	elsewhere
	ud2
	.size	f, .-f

	.section	.tmebox.depths,"",@progbits
	.quad	f, 2147483648
