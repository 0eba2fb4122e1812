	.text
f:
	movq	%r11, -136(%rsp)
	movl	%edi, %edi
	movq	%gs:0x4010000, %r11
	leaq	(%r11,%rdi), %rdi
	rep stosq
	movl	%edi, %edi
	movq	-136(%rsp), %r11
	movq	%r11, -136(%rsp)
	movl	%edi, %edi
	movl	%esi, %esi
	movq	%gs:0x4010000, %r11
	leaq	(%r11,%rdi), %rdi
	leaq	(%r11,%rsi), %rsi
	rep movsb
	movl	%edi, %edi
	movl	%esi, %esi
	movq	-136(%rsp), %r11
	movq	%r11, -136(%rsp)
	movl	%edi, %edi
	movq	%gs:0x4010000, %r11
	leaq	(%r11,%rdi), %rdi
	stosb
	movl	%edi, %edi
	movq	-136(%rsp), %r11
	movl	%r11d, %eax
	movq	%r11, -136(%rsp)
	movl	%edi, %edi
	movl	%esi, %esi
	movq	%gs:0x4010000, %r11
	leaq	(%r11,%rdi), %rdi
	leaq	(%r11,%rsi), %rsi
	rep movsl
	movl	%edi, %edi
	movl	%esi, %esi
	movq	-136(%rsp), %r11
	movl	%r11d, %eax
	ud2

	.section	.tmebox.depths,"",@progbits
	.quad	f, 2147483648
