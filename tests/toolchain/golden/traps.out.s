	.text
f:
	ud2
	ud2
	movl	$0x746d7200, %eax
	ud2
	movl	$0x746d7215, %eax
	ud2
	ud2
	ud2
	hlt
