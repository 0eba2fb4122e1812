/* Asks the kernel to end the whole process, past the sandbox's own libc. */
void ask_kernel(void)
{
	__asm__ volatile("mov $231, %eax\n\txor %edi, %edi\n\tsyscall");
}
