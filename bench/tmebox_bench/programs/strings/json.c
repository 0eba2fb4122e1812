/* JSON: a document is built as text, parsed into a tree, walked, and written again. */
#include "../bench.h"

enum type { NONE, FALSE, TRUE, NUMBER, STRING, ARRAY, OBJECT };

struct value {
	enum type type;
	double number;
	char *string, *name;
	struct value *first, *next;
};

static const char *at;

static void skip_space(void)
{
	while (*at == ' ' || *at == '\n' || *at == '\t' || *at == '\r') at++;
}

static char *parse_string(void)
{
	const char *end = ++at;
	while (*end != '"') end += *end == '\\' ? 2 : 1;
	char *text = need(malloc((size_t)(end - at) + 1)), *to = text;
	while (at < end) {
		if (*at == '\\') {
			at++;
			*to++ = *at == 'n' ? '\n' : *at == 't' ? '\t' : *at;
			at++;
		} else *to++ = *at++;
	}
	*to = 0;
	at++;
	return text;
}

static struct value *parse(void);

static void parse_members(struct value *value, char close)
{
	struct value **tail = &value->first;
	at++;
	for (skip_space(); *at != close; skip_space()) {
		char *name = NULL;
		if (close == '}') {
			name = parse_string();
			skip_space();
			expect(*at++ == ':', "a colon");
		}
		*tail = parse();
		(*tail)->name = name;
		tail = &(*tail)->next;
		skip_space();
		if (*at == ',') at++;
		skip_space();
	}
	at++;
}

static struct value *parse(void)
{
	struct value *value = need(calloc(1, sizeof *value));
	skip_space();
	switch (*at) {
	case '{':
		value->type = OBJECT;
		parse_members(value, '}');
		break;
	case '[':
		value->type = ARRAY;
		parse_members(value, ']');
		break;
	case '"':
		value->type = STRING;
		value->string = parse_string();
		break;
	case 't':
		value->type = TRUE;
		at += 4;
		break;
	case 'f':
		value->type = FALSE;
		at += 5;
		break;
	case 'n':
		at += 4;
		break;
	default:
		value->type = NUMBER;
		value->number = strtod(at, (char **)&at);
	}
	return value;
}

static uint64_t walk(const struct value *value, uint64_t sum)
{
	for (; value; value = value->next) {
		sum = mix(sum, value->type);
		if (value->name) sum = mix_bytes(sum, value->name, strlen(value->name));
		if (value->string) sum = mix_bytes(sum, value->string, strlen(value->string));
		sum = walk(value->first, mix_double(sum, value->number));
	}
	return sum;
}

static void discard(struct value *value)
{
	while (value) {
		struct value *next = value->next;
		discard(value->first);
		free(value->name);
		free(value->string);
		free(value);
		value = next;
	}
}

static char *document(int records)
{
	char *text = need(malloc((size_t)records * 200 + 16)), *to = text;
	uint32_t random = 8;
	to += sprintf(to, "[\n");
	for (int i = 0; i < records; i++) {
		unsigned a = next_random(&random) % 100000, b = next_random(&random) % 1000;
		to += sprintf(to, "  {\"id\": %d, \"name\": \"user %u\\n\\\"x\\\"\", \"score\": %u.%03u, ", i, a, a, b);
		to += sprintf(to, "\"tags\": [\"alpha\", \"beta\", \"t%u\"], \"on\": %s, \"none\": null,", b, b & 1 ? "true" : "false");
		to += sprintf(to, " \"at\": {\"x\": -%u.5e-2, \"y\": %u}}%s\n", b, a, i + 1 < records ? "," : "");
	}
	sprintf(to, "]\n");
	return text;
}

int main(int argc, char **argv)
{
	int rounds = work(argc, argv);
	char *text = document(1000);
	uint64_t sum = 0;
	for (int round = 0; round < rounds; round++) {
		at = text;
		struct value *value = parse();
		sum = walk(value, sum);
		discard(value);
	}
	free(text);
	return finish(sum);
}
