/* How libc++abi ends a program, which std::terminate does by default: it says why on stderr, as everywhere, and also
   tells the host, whose exception says it. The text may be the sandbox's own: the host bounds what it reads. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "abort_message.h"

extern "C" {
#include "kernel.h"
}

void abort_message(const char *format, ...)
{
	static char text[4096];
	va_list list;
	va_start(list, format);
	vsnprintf(text, sizeof text, format, list);
	va_end(list);
	fprintf(stderr, "libc++abi: %s\n", text);
	const long arguments[6] = { (long)text };
	__tmebox_ask(TMEBOX_SYS_ABORT_MESSAGE, arguments);
	abort();
}
