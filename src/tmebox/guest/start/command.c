/* Start-up of a program with main(): the C half of _start. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "libc.h"
#include "start.h"

int main(int argc, char **argv, char **envp);

/* `block` is what a Linux process finds at its first stack pointer: argc, argv…, NULL, envp…, NULL. */
HIDDEN _Noreturn void __tmebox_start(long *block)
{
	int argc = (int)block[0];
	char **argv = (char **)(block + 1);
	char **envp = argv + argc + 1;
	__environ = envp;
	if (argc > 0 && argv[0]) {
		char *slash = strrchr(argv[0], '/');
		__progname_full = argv[0];
		__progname = slash ? slash + 1 : argv[0];
	}
	__tmebox_is_command = 1;
	__tmebox_initialize();
	exit(main(argc, argv, envp));
}
