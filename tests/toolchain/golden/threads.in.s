	.text
f:
	movl	%fs:counter@TPOFF, %eax
	movq	%fs:0, %rcx
	movl	counter@TPOFF(%rcx), %edx
	leaq	counter@TPOFF(%rcx), %rsi
	movq	counter@GOTTPOFF(%rip), %rdi
	addq	counter@GOTTPOFF(%rip), %rdi
	movl	%fs:(%rdi), %edi
	ud2
	.type	counter,@tls_object
	.section	.tdata.counter,"awT",@progbits
counter:
	.long	5
	.size	counter, 4
	.section	.tbss,"awT",@nobits
	.zero	8
	.section	.debug_info,"",@progbits
	.quad	counter@DTPOFF
