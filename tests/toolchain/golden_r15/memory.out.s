	.text
	.globl	memory
	.type	memory, @function
memory:
	movzbl	0(%r15), %eax
	movq	%rax, 0(%r15)
	movl	%edi, %r14d
	movq	(%r15,%r14), %rax
	movq	8(%r15,%r14), %rcx
	leal	(%rdi,%rsi,4), %r14d
	movl	%eax, -8(%r15,%r14)
	addl	12(%r15,%r14), %edx
	leal	table(,%rcx,8), %r14d
	movq	(%r15,%r14), %rcx
	movl	counter(%r15), %eax
	movl	%eax, counter+4(%r15)
	leal	1048576(%rdi), %r14d
	movzbl	(%r15,%r14), %eax
	movl	%edx, %r14d
	lock xaddl	%eax, (%r15,%r14)
	movl	%edi, %r14d
	pushq	8(%r15,%r14)
	movl	%edi, %r14d
	popq	16(%r15,%r14)
	movl	%edi, %r14d
	xchgb	%ah, %al
	movb	%al, 3(%r15,%r14)
	xchgb	%ah, %al
	movl	%ebx, %r14d
	xchgb	%bh, %bl
	xorb	(%r15,%r14), %bl
	xchgb	%bh, %bl
	movl	local(%r15), %eax
	leaq	8(%rdi,%rsi,2), %rdx
	movl	$counter, %edi
	movl	8(%rsp), %ecx
	leal	(%rsp,%rcx,4), %r14d
	movl	8(%r15,%r14), %ecx
	movq	%r10, -152(%rsp)
	leal	(%rdi), %r10d
	movq	%rax, %r11
	sarq	$3, %r11
	andq	$-8, %r11
	addq	%r10, %r11
	movl	%r11d, %r14d
	movq	(%r15,%r14), %r10
	btsq	%rax, %r10
	movq	%r10, (%r15,%r14)
	movq	-152(%rsp), %r10
	movl	%esi, %r14d
	movups	(%r15,%r14), %xmm0
	movl	$0xfffffff0, %r11d
	movl	%r11d, %r14d
	movl	(%r15,%r14), %eax
	movl	$0x23456789, %r11d
	movl	%r11d, %r14d
	movq	%rax, (%r15,%r14)
	movl	(%rsp), %r11d
	testb	$8, 0x7fff0000(%r11)
	je	.Ltmebox1
	movq	%r11, (%rsp)
	retq
.Ltmebox1:
	hlt
	.size	memory, .-memory
	.bss
counter:
	.zero	8
table:
	.zero	64
local:
	.zero	4
