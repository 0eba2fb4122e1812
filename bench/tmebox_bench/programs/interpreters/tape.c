/* An interpreter of an eight-instruction tape language, running a program that squares numbers. */
#include "../bench.h"

enum { TAPE = 4096, LENGTH = 4096 };

/* Prints the squares from 0 to 10000. */
static const char squares[] = "++++[>+++++<-]>[<+++++>-]+<+[>[>+>+<<-]++>>[<<+>>-]>>>[-]++>[-]+"
			      ">>>+[[-]++++++>>>]<<<[[<++++++++<++>>-]+<.<[>----<-]<]"
			      "<<[>>>>>[>>>[-]+++++++++<[>-<-]+++++++++>[-[<->-]+[<<<]]<[>+<-]>]<<-]<<-]";

static uint16_t partner[LENGTH];

static void match(const char *code)
{
	int open[64], depth = 0;
	for (int i = 0; code[i]; i++) {
		if (code[i] == '[') open[depth++] = i;
		if (code[i] == ']') {
			int start = open[--depth];
			partner[start] = (uint16_t)i;
			partner[i] = (uint16_t)start;
		}
	}
	expect(depth == 0, "brackets");
}

static uint64_t run(const char *code, uint64_t sum)
{
	static uint8_t tape[TAPE];
	memset(tape, 0, sizeof tape);
	uint8_t *cell = tape + TAPE / 2;
	for (int i = 0; code[i]; i++) switch (code[i]) {
		case '>':
			cell++;
			break;
		case '<':
			cell--;
			break;
		case '+':
			++*cell;
			break;
		case '-':
			--*cell;
			break;
		case '.':
			sum = mix(sum, *cell);
			break;
		case '[':
			if (!*cell) i = partner[i];
			break;
		case ']':
			if (*cell) i = partner[i];
			break;
		}
	return sum;
}

int main(int argc, char **argv)
{
	int rounds = work(argc, argv);
	uint64_t sum = 0;
	match(squares);
	for (int round = 0; round < rounds; round++) sum = run(squares, sum);
	return finish(sum);
}
