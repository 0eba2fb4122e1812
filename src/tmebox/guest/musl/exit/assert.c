/* assert(): says what has failed on stderr, as everywhere, and also tells the host, whose exception names it. */
#include <stdio.h>
#include <stdlib.h>

#include "kernel.h"

_Noreturn void __assert_fail(const char *expression, const char *file, int line, const char *function)
{
	const long arguments[6] = { (long)expression, (long)file, line, (long)function };
	fprintf(stderr, "Assertion failed: %s (%s: %s: %d)\n", expression, file, function, line);
	__tmebox_ask(TMEBOX_SYS_ASSERTION_FAILED, arguments);
	abort();
}
