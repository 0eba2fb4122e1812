/* Where the host comes in. */
#ifndef TMEBOX_ENTRY_H
#define TMEBOX_ENTRY_H
#include <tmebox.h>

/* The stack begins here; what lies below is looked at for garbage collection. */
void tmebox_stack_from(void *top);
#endif
