/* libc's state, complete at link time: a module that exports functions works from its first call, with no start-up
   code having run. The auxiliary vector holds what matters here; its random bytes are on the control page. */
#include <elf.h>

#include "abi.h"
#include "libc.h"

static size_t auxiliary_vector[] = {
	AT_PAGESZ, TMEBOX_PAGE_SIZE, AT_RANDOM, TMEBOX_STACK_RANDOM, AT_NULL, 0,
};

struct __libc __libc = { .auxv = auxiliary_vector, .page_size = TMEBOX_PAGE_SIZE };

size_t __hwcap;
static char no_name[] = "";
char *__progname = no_name, *__progname_full = no_name;

weak_alias(__progname, program_invocation_short_name);
weak_alias(__progname_full, program_invocation_name);
