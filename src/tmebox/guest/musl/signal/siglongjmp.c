/* siglongjmp: the mask that sigsetjmp has kept, if it was asked to, and longjmp. */
#include <setjmp.h>
#include <signal.h>
#include "syscall.h"

__attribute__((__visibility__("hidden"))) void __tmebox_keep_mask(struct __jmp_buf_tag *buffer, int save)
{
	buffer->__fl = save;
	if (save) __syscall(SYS_rt_sigprocmask, SIG_SETMASK, 0, buffer->__ss, _NSIG / 8);
}

_Noreturn void siglongjmp(sigjmp_buf buffer, int result)
{
	if (buffer->__fl) __syscall(SYS_rt_sigprocmask, SIG_SETMASK, buffer->__ss, 0, _NSIG / 8);
	longjmp(buffer, result);
}
