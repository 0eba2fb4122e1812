	.text
	movl	%gs:counter(%rip), %eax
	movl	$0, %ecx
	movl	%gs:counter(%ecx), %edx
	leaq	counter(%rcx), %rsi
	movl	$counter, %edi
	addq	$counter, %rdi
	movl	%gs:(%edi), %edi
	ud2
	.type	counter,@object
	.section	.data.counter,"aw",@progbits
counter:
	.long	5
	.size	counter, 4
	.section	.bss,"aw",@nobits
	.zero	8
	.section	.debug_info,"",@progbits
	.quad	counter
