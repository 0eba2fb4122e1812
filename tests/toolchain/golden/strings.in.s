	.text
f:
	rep; stosq
	rep
	movsb	(%rsi), %es:(%rdi)
	stosb	%al, %es:(%rdi)
	movl	%r11d, %eax
	rep	movsl
	movl	%r11d, %eax
	ud2
