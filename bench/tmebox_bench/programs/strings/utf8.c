/* UTF-8: encode, check with a state machine, decode, count, and change case of what is Latin or Greek. */
#include "../bench.h"

enum { CHARACTERS = 100000 };
static uint8_t text[4 * CHARACTERS + 1], other[4 * CHARACTERS + 1];

static uint8_t *encode(uint8_t *to, uint32_t c)
{
	if (c < 0x80) {
		*to++ = (uint8_t)c;
	} else if (c < 0x800) {
		*to++ = (uint8_t)(0xc0 | c >> 6);
		*to++ = (uint8_t)(0x80 | (c & 63));
	} else if (c < 0x10000) {
		*to++ = (uint8_t)(0xe0 | c >> 12);
		*to++ = (uint8_t)(0x80 | (c >> 6 & 63));
		*to++ = (uint8_t)(0x80 | (c & 63));
	} else {
		*to++ = (uint8_t)(0xf0 | c >> 18);
		*to++ = (uint8_t)(0x80 | (c >> 12 & 63));
		*to++ = (uint8_t)(0x80 | (c >> 6 & 63));
		*to++ = (uint8_t)(0x80 | (c & 63));
	}
	return to;
}

/* The next character, or UINT32_MAX for a byte that starts none. */
static const uint8_t *decode(const uint8_t *at, uint32_t *c)
{
	static const uint32_t least[] = { 0, 0x80, 0x800, 0x10000 };
	unsigned first = *at++, more = first < 0x80 ? 0 : first < 0xc2 ? 4 : first < 0xe0 ? 1 : first < 0xf0 ? 2 : 3;
	*c = UINT32_MAX;
	if (more > 3 || first > 0xf4) return at;
	uint32_t value = more ? first & (63u >> more) : first;
	for (unsigned i = 0; i < more; i++) {
		if ((at[i] & 0xc0) != 0x80) return at;
		value = value << 6 | (at[i] & 63);
	}
	if (value < least[more] || value > 0x10ffff || (value >= 0xd800 && value < 0xe000)) return at;
	*c = value;
	return at + more;
}

static int is_valid(const uint8_t *at, const uint8_t *end)
{
	uint32_t c = 0;
	while (at < end && c != UINT32_MAX) at = decode(at, &c);
	return at == end && c != UINT32_MAX;
}

static uint32_t upper(uint32_t c)
{
	if ((c >= 'a' && c <= 'z') || (c >= 0xe0 && c <= 0xfe && c != 0xf7) || (c >= 0x3b1 && c <= 0x3c9 && c != 0x3c2)) return c - 32;
	return c;
}

static size_t to_upper(uint8_t *to, const uint8_t *from, const uint8_t *end)
{
	uint8_t *start = to;
	while (from < end) {
		uint32_t c;
		from = decode(from, &c);
		to = encode(to, upper(c));
	}
	return (size_t)(to - start);
}

int main(int argc, char **argv)
{
	static const uint32_t starts[] = { 0x20, 0x20, 0x20, 0x61, 0xe0, 0x3b1, 0x4e00, 0x1f600 };
	int rounds = work(argc, argv);
	uint32_t random = 3;
	uint8_t *end = text;
	for (int i = 0; i < CHARACTERS; i++) {
		uint32_t choice = next_random(&random);
		end = encode(end, starts[choice % 8] + (choice >> 8) % 25);
	}
	uint64_t sum = 0;
	for (int round = 0; round < rounds; round++) {
		expect(is_valid(text, end), "the text is valid");
		size_t size = to_upper(other, text, end), broken = (size_t)round * 7919 % size;
		expect(size == (size_t)(end - text), "the size stays");
		sum = mix_bytes(sum, other + broken, size - broken > 256 ? 256 : size - broken);
		other[broken] = 0xff;
		expect(!is_valid(other, other + size), "a broken text is not valid");
	}
	return finish(sum);
}
