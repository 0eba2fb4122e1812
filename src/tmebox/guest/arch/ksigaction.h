/* What the guest's own signal code (kernel/signals.c) keeps. Handlers return to it like any function, so there
   is no restorer. */
#include <features.h>

struct k_sigaction {
	void (*handler)(int);
	unsigned long flags;
	void (*restorer)(void);
	unsigned mask[2];
};

#define __restore ((void (*)(void))0)
#define __restore_rt ((void (*)(void))0)
