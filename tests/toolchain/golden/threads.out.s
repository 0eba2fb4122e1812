	.text
f:
	movl	%gs:counter(%rip), %eax
	movq	%gs:__tmebox_thread_offset(%rip), %rcx
	movl	%gs:counter(%ecx), %edx
	leaq	counter(%rcx), %rsi
	movl	$counter, %edi
	addq	$counter, %rdi
	movl	%gs:(%edi), %edi
	ud2
	.type	counter,@object
	.section	.thread_data.counter,"aw",@progbits
counter:
	.long	5
	.size	counter, 4
	.section	.thread_bss,"aw",@nobits
	.zero	8

	.section	.tmebox.depths,"",@progbits
	.quad	f, 2147483648
	.section	.debug_info,"",@progbits
	.quad	counter
