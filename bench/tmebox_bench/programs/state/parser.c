/* A protocol's parser that is fed byte by byte, with its state in globals between the calls. */
#include "../bench.h"

enum state { START, KEY, SPACE, VALUE, QUOTED, ESCAPE, NUMBER, FRACTION, LIST, COMMENT, FAILED };

static enum state state;
static unsigned long line, column, keys, values, numbers, lists, comments, failures, depth;
static unsigned long long number, fraction, scale;
static char key[32], value[64];
static unsigned key_length, value_length;
static uint64_t digest;

static void end_pair(void)
{
	digest = mix_bytes(digest, key, key_length);
	digest = mix_bytes(digest, value, value_length);
	values++;
	key_length = value_length = 0;
	state = START;
}

__attribute__((noinline)) static void feed(unsigned char c)
{
	column++;
	if (c == '\n') line++, column = 0;
	switch (state) {
	case START:
		if (c == '#') state = COMMENT;
		else if (c >= 'a' && c <= 'z') key[0] = (char)c, key_length = 1, state = KEY;
		else if (c != '\n' && c != ' ') state = FAILED;
		break;
	case KEY:
		if (c == '=') keys++, state = SPACE;
		else if (c == '\n' || key_length == sizeof key) state = FAILED;
		else key[key_length++] = (char)c;
		break;
	case SPACE:
		if (c == '"') state = QUOTED;
		else if (c >= '0' && c <= '9') number = c - '0', state = NUMBER;
		else if (c == '[') depth++, lists++, state = LIST;
		else if (c != ' ') value[0] = (char)c, value_length = 1, state = VALUE;
		break;
	case VALUE:
		if (c == '\n') end_pair();
		else if (value_length < sizeof value) value[value_length++] = (char)c;
		break;
	case QUOTED:
		if (c == '\\') state = ESCAPE;
		else if (c == '"') end_pair();
		else if (value_length < sizeof value) value[value_length++] = (char)c;
		break;
	case ESCAPE:
		if (value_length < sizeof value) value[value_length++] = c == 'n' ? '\n' : (char)c;
		state = QUOTED;
		break;
	case NUMBER:
		if (c >= '0' && c <= '9') number = number * 10 + (c - '0');
		else if (c == '.') fraction = 0, scale = 1, state = FRACTION;
		else digest = mix(digest, number), numbers++, end_pair();
		break;
	case FRACTION:
		if (c >= '0' && c <= '9') fraction = fraction * 10 + (c - '0'), scale *= 10;
		else digest = mix(digest, number * scale + fraction), numbers++, end_pair();
		break;
	case LIST:
		if (c == '[') depth++;
		if (c == ']' && --depth == 0) end_pair();
		else digest = mix(digest, c);
		break;
	case COMMENT:
		if (c == '\n') comments++, state = START;
		break;
	case FAILED:
		if (c == '\n') failures++, key_length = value_length = 0, state = START;
		break;
	}
}

int main(int argc, char **argv)
{
	static const char text[] = "# what a device says\nname=\"a \\\"quoted\\\" name\\n\"\nspeed=120.25\ncount=77\n"
				   "route=[1,2,[3,4],5]\nmode=automatic\n!broken line\nlast=[[[]]]\nempty=\"\"\n";
	int rounds = work(argc, argv);
	for (int round = 0; round < rounds; round++) {
		for (int i = 0; i < 40; i++) {
			for (const char *c = text; *c; c++) feed((unsigned char)*c);
		}
	}
	uint64_t sum = mix(mix(digest, keys), values);
	return finish(mix(mix(mix(sum, numbers), lists + comments), failures + line + column));
}
