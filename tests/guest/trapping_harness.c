/* Our functions for -ftrapv, as our…: right up to the limits of their types, and a trap behind them. */
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

typedef __int128 s128;

#define DECLARE(M, T)                                                              \
	T our__addv##M##3(T, T), our__subv##M##3(T, T), our__mulv##M##3(T, T);     \
	T our__negv##M##2(T), our__absv##M##2(T);

DECLARE(si, int32_t)
DECLARE(di, int64_t)
DECLARE(ti, s128)

static int wrong, traps;

#define STOPS(e)                                                                   \
	do {                                                                       \
		int status;                                                        \
		pid_t child = fork();                                              \
		if (!child) {                                                      \
			(void)(e);                                                 \
			_exit(0);                                                  \
		}                                                                  \
		waitpid(child, &status, 0);                                        \
		traps++;                                                           \
		if (!WIFSIGNALED(status)) wrong++, puts(#e);                       \
	} while (0)
#define GIVES(e, r)                                                                \
	do {                                                                       \
		if ((e) != (r)) wrong++, puts(#e);                                 \
	} while (0)

#define CHECK(M, T, MAX)                                                           \
	do {                                                                       \
		T max = MAX, min = -MAX - 1;                                       \
		GIVES(our__addv##M##3(max - 1, 1), max);                           \
		GIVES(our__addv##M##3(max, min), -1);                              \
		STOPS(our__addv##M##3(max, 1));                                    \
		STOPS(our__addv##M##3(min, -1));                                   \
		GIVES(our__subv##M##3(min + 1, 1), min);                           \
		STOPS(our__subv##M##3(min, 1));                                    \
		STOPS(our__subv##M##3(0, min));                                    \
		GIVES(our__mulv##M##3(max, -1), -max);                             \
		GIVES(our__mulv##M##3(-3, 5), -15);                                \
		STOPS(our__mulv##M##3(min, -1));                                   \
		STOPS(our__mulv##M##3(max / 2 + 1, 2));                            \
		GIVES(our__negv##M##2(max), -max);                                 \
		STOPS(our__negv##M##2(min));                                       \
		GIVES(our__absv##M##2(-max), max);                                 \
		GIVES(our__absv##M##2(7), 7);                                      \
		STOPS(our__absv##M##2(min));                                       \
	} while (0)

int main(void)
{
	CHECK(si, int32_t, INT32_MAX);
	CHECK(di, int64_t, INT64_MAX);
	CHECK(ti, s128, (s128)(~(unsigned __int128)0 >> 1));
	return wrong || traps != 24;
}
