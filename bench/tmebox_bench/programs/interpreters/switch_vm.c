/* A stack machine that decodes with a switch. */
#include "machine.h"

static int64_t run(void)
{
	int32_t stack[STACK_SIZE], *top = stack;
	const struct instruction *returns[STACK_SIZE], **back = returns, *at = program;
	for (int64_t executed = 1;; executed++) {
		int32_t operand = at->operand;
		switch ((enum operation)(at++)->operation) {
		case PUSH:
			*top++ = operand;
			break;
		case LOAD:
			*top++ = variables[operand];
			break;
		case STORE:
			variables[operand] = *--top;
			break;
		case ADD:
			top--;
			top[-1] += *top;
			break;
		case SUB:
			top--;
			top[-1] -= *top;
			break;
		case MUL:
			top--;
			top[-1] *= *top;
			break;
		case DIV:
			top--;
			top[-1] /= *top;
			break;
		case MOD:
			top--;
			top[-1] %= *top;
			break;
		case LESS:
			top--;
			top[-1] = top[-1] < *top;
			break;
		case JUMP:
			at = program + operand;
			break;
		case UNLESS:
			if (!*--top) at = program + operand;
			break;
		case GET:
			top[-1] = array[top[-1]];
			break;
		case SET:
			top -= 2;
			array[*top] = top[1];
			break;
		case CALL:
			*back++ = at;
			at = program + operand;
			break;
		case RETURN:
			at = *--back;
			break;
		case HALT:
			return executed;
		}
	}
}

int main(int argc, char **argv)
{
	return drive(argc, argv);
}
