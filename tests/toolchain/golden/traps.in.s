# Traps: what clang writes where a check has failed keeps the check's number behind a ud2.
	.text
f:
	ud2
	ud1l	(%eax), %eax
	ud1l	21(%eax), %eax
	ud1q	%rax, %rdx
	ud1w	(%rdi), %dx
	ud1	256(%eax), %eax
	hlt
