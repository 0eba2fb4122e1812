/* int sigsetjmp(sigjmp_buf, int save): setjmp; with save the mask is kept before, for siglongjmp to restore. */
	.text
	.globl sigsetjmp
	.globl __sigsetjmp
	.type sigsetjmp, @function
	.type __sigsetjmp, @function
sigsetjmp:
__sigsetjmp:
	pushq %rdi
	.hidden __tmebox_keep_mask
	call __tmebox_keep_mask
	popq %rdi
	jmp setjmp
	.size sigsetjmp, .-sigsetjmp
	.section .note.GNU-stack, "", @progbits
