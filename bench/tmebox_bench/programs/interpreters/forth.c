/* A small Forth: words are compiled to cells of function pointers, and an inner interpreter calls them. */
#include "../bench.h"

enum { WORDS = 96, CELLS = 1024, STACK = 64 };

typedef void primitive(void);

struct word {
	char name[12];
	primitive *run;
	int start; /* of a colon definition's cells */
};

union cell {
	const struct word *word;
	int64_t value;
};

static struct word words[WORDS];
static union cell cells[CELLS];
static int word_count, here;
static int64_t stack[STACK], *top = stack;
static const union cell *calls[STACK], **call_top = calls, *at;
static const char *input;

static void add(void) { top--; top[-1] += *top; }
static void subtract(void) { top--; top[-1] -= *top; }
static void multiply(void) { top--; top[-1] *= *top; }
static void divide(void) { top--; top[-1] /= *top; }
static void remainder_of(void) { top--; top[-1] %= *top; }
static void less(void) { top--; top[-1] = top[-1] < *top; }
static void equal(void) { top--; top[-1] = top[-1] == *top; }
static void duplicate(void) { *top = top[-1]; top++; }
static void drop(void) { top--; }
static void over(void) { *top = top[-2]; top++; }
static void swap(void) { int64_t kept = top[-1]; top[-1] = top[-2]; top[-2] = kept; }
static void rotate(void) { int64_t kept = top[-3]; top[-3] = top[-2]; top[-2] = top[-1]; top[-1] = kept; }
static void literal(void) { *top++ = (at++)->value; }
static void branch(void) { at = cells + at->value; }
static void branch_if_zero(void) { at = *--top ? at + 1 : cells + at->value; }
static void leave(void) { at = *--call_top; }
static void enter(void) { const struct word *word = at[-1].word; *call_top++ = at; at = cells + word->start; }
static void halt(void) { at = NULL; }

static const struct {
	const char *name;
	primitive *run;
} primitives[] = {
	{ "+", add }, { "-", subtract }, { "*", multiply }, { "/", divide }, { "mod", remainder_of }, { "<", less },
	{ "=", equal }, { "dup", duplicate }, { "drop", drop }, { "over", over }, { "swap", swap }, { "rot", rotate },
	{ "(lit)", literal }, { "(branch)", branch }, { "(0branch)", branch_if_zero }, { "exit", leave }, { "halt", halt },
};

static struct word *define(const char *name, primitive *run, int start)
{
	struct word *word = &words[word_count++];
	strcpy(word->name, name);
	word->run = run;
	word->start = start;
	return word;
}

static const struct word *find(const char *name)
{
	for (int i = word_count - 1; i >= 0; i--)
		if (!strcmp(words[i].name, name)) return &words[i];
	return NULL;
}

static int next_token(char *token)
{
	int length = 0;
	while (*input == ' ') input++;
	while (*input && *input != ' ' && length < 11) token[length++] = *input++;
	token[length] = 0;
	return length;
}

static void compile_word(const char *name)
{
	const struct word *word = find(name);
	expect(word != NULL, name);
	cells[here++].word = word;
}

static int forward(const char *branch_name)
{
	compile_word(branch_name);
	return here++;
}

/* Between : and ; there are words, numbers, and the structures if-else-then and begin-until. */
static void compile_definition(void)
{
	char token[12];
	int open[16], depth = 0;
	next_token(token);
	define(token, enter, here);
	while (next_token(token) && strcmp(token, ";")) {
		if (!strcmp(token, "if")) open[depth++] = forward("(0branch)");
		else if (!strcmp(token, "else")) {
			int skip = forward("(branch)");
			cells[open[depth - 1]].value = here;
			open[depth - 1] = skip;
		} else if (!strcmp(token, "then")) cells[open[--depth]].value = here;
		else if (!strcmp(token, "begin")) open[depth++] = here;
		else if (!strcmp(token, "until")) {
			int slot = forward("(0branch)");
			cells[slot].value = open[--depth];
		} else if (find(token)) compile_word(token);
		else {
			compile_word("(lit)");
			cells[here++].value = atoi(token);
		}
	}
	compile_word("exit");
}

static int64_t execute(const char *name, int64_t argument)
{
	int start = here;
	compile_word(name);
	compile_word("halt");
	*top++ = argument;
	at = cells + start;
	while (at) {
		const struct word *word = (at++)->word;
		word->run();
	}
	here = start;
	return *--top;
}

int main(int argc, char **argv)
{
	int rounds = work(argc, argv);
	static const char *const source[] = {
		"fib dup 2 < if else dup 1 - fib swap 2 - fib + then ;",
		"gcd begin swap over mod dup 0 = until drop ;",
		"sum 0 swap begin dup rot + swap 1 - dup 0 = until drop ;",
		"step dup 2 mod if 3 * 1 + else 2 / then ;",
		"flight 0 swap begin step swap 1 + swap dup 1 = until drop ;",
		"fact dup 2 < if drop 1 else dup 1 - fact * then ;",
	};
	for (size_t i = 0; i < sizeof primitives / sizeof *primitives; i++) define(primitives[i].name, primitives[i].run, 0);
	for (size_t i = 0; i < sizeof source / sizeof *source; i++) {
		input = source[i];
		compile_definition();
	}
	uint64_t sum = 0;
	for (int round = 0; round < rounds; round++) {
		sum = mix(sum, (uint64_t)execute("fib", 20));
		sum = mix(sum, (uint64_t)execute("sum", 20000));
		sum = mix(sum, (uint64_t)execute("flight", 27 + round));
		sum = mix(sum, (uint64_t)execute("fact", 15));
		*top++ = 832040 + round;
		sum = mix(sum, (uint64_t)execute("gcd", 514229));
	}
	expect(top == stack && execute("fib", 20) == 6765, "the stack at the end, and fib 20");
	return finish(sum);
}
