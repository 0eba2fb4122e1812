/* long __tmebox_syscall(long number, const long arguments[6]);

   Asks the host. The link stage numbers a module's imports; this one is always the first, so that programs
   which import nothing else are linked without stubs. Clobbers what any C function may. */

	.text
	.globl	__tmebox_syscall
	.type	__tmebox_syscall, @function
__tmebox_syscall:
	movl	$0, %r11d
	jmp	__tmebox_gate_hostcall
	.size	__tmebox_syscall, .-__tmebox_syscall
