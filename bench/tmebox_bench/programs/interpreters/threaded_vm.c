/* The same stack machine with computed goto: one indirect jump at the end of each operation. */
#include "machine.h"

#define NEXT() \
	do { \
		executed++; \
		operand = at->operand; \
		goto *code[(at++)->operation]; \
	} while (0)

static int64_t run(void)
{
	static const void *const code[] = {
		&&push, &&load, &&store, &&add, &&sub, &&mul, &&div, &&mod,
		&&less, &&jump, &&unless, &&get, &&set, &&call, &&ret, &&halt,
	};
	int32_t stack[STACK_SIZE], *top = stack, operand;
	const struct instruction *returns[STACK_SIZE], **back = returns, *at = program;
	int64_t executed = 0;
	NEXT();
push:
	*top++ = operand;
	NEXT();
load:
	*top++ = variables[operand];
	NEXT();
store:
	variables[operand] = *--top;
	NEXT();
add:
	top--;
	top[-1] += *top;
	NEXT();
sub:
	top--;
	top[-1] -= *top;
	NEXT();
mul:
	top--;
	top[-1] *= *top;
	NEXT();
div:
	top--;
	top[-1] /= *top;
	NEXT();
mod:
	top--;
	top[-1] %= *top;
	NEXT();
less:
	top--;
	top[-1] = top[-1] < *top;
	NEXT();
jump:
	at = program + operand;
	NEXT();
unless:
	if (!*--top) at = program + operand;
	NEXT();
get:
	top[-1] = array[top[-1]];
	NEXT();
set:
	top -= 2;
	array[*top] = top[1];
	NEXT();
call:
	*back++ = at;
	at = program + operand;
	NEXT();
ret:
	at = *--back;
	NEXT();
halt:
	return executed;
}

int main(int argc, char **argv)
{
	return drive(argc, argv);
}
