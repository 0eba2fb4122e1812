/* int sigsetjmp(sigjmp_buf, int save): setjmp, and what setjmp's return leads to also saves or restores the mask.

   With save, setjmp is called from here, so that a siglongjmp comes back here; our own return address waits in
   the buffer at 64, and the caller's rbx at 80. */
	.text
	.globl sigsetjmp
	.globl __sigsetjmp
	.type sigsetjmp, @function
	.type __sigsetjmp, @function
sigsetjmp:
__sigsetjmp:
	testl %esi, %esi
	je setjmp
	popq %rdx
	movq %rdx, 64(%rdi)
	movq %rbx, 80(%rdi)
	movq %rdi, %rbx
	call setjmp
	movq 64(%rbx), %rdx
	pushq %rdx
	movq %rbx, %rdi
	movl %eax, %esi
	movq 80(%rbx), %rbx
	.hidden __sigsetjmp_tail
	jmp __sigsetjmp_tail
	.size sigsetjmp, .-sigsetjmp
	.section .note.GNU-stack, "", @progbits
