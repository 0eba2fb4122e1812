/* noreturn void _start(void)

   Entered like any function, by a call from the runtime: above the return address on the stack lies what a Linux
   process finds there (argc, argv…, NULL, envp…, NULL, auxiliary vector). Never returns: exit() is a host call. */
	.text
	.globl _start
	.type _start, @function
_start:
	xorl %ebp, %ebp
	leaq 8(%rsp), %rdi
	subq $24, %rsp
	call __tmebox_start
	ud2
	.size _start, .-_start
	.section .note.GNU-stack, "", @progbits
