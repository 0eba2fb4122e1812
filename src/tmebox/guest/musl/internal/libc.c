/* libc's state, complete at link time: a module that exports functions works from its first call, with no start-up
   code having run. The auxiliary vector holds what matters here; its random bytes are on the control page. */
#include <elf.h>

#include "abi.h"
#include "libc.h"
#include "pthread_impl.h"

static size_t auxiliary_vector[] = {
	AT_PAGESZ, TMEBOX_PAGE_SIZE, AT_RANDOM, TMEBOX_STACK_RANDOM, AT_NULL, 0,
};

/* An absolute symbol: bytes of thread-local variables. */
extern __attribute__((__visibility__("hidden"))) char __tmebox_thread_size[];
enum { DESCRIPTOR = 512 }; /* struct __pthread, and what aligns it */

struct __libc __libc = {
	.can_do_threads = 1,
	.auxv = auxiliary_vector,
	.tls_size = (size_t)__tmebox_thread_size + DESCRIPTOR,
	.page_size = TMEBOX_PAGE_SIZE,
};
_Static_assert(sizeof(struct __pthread) + 16 + TMEBOX_THREAD_ALIGNMENT <= DESCRIPTOR, "they fit");

size_t __hwcap;
static char no_name[] = "";
char *__progname = no_name, *__progname_full = no_name;

weak_alias(__progname, program_invocation_short_name);
weak_alias(__progname_full, program_invocation_name);
