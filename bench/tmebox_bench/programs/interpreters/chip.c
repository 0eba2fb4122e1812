/* An emulator of a small 8-bit machine in the manner of CHIP-8: 16 registers, a call stack, sprites drawn by
   exclusive or. Two levels of switch. */
#include "../bench.h"

enum { MEMORY = 4096, START = 0x200, WIDTH = 64, HEIGHT = 32 };

static uint8_t memory[MEMORY], v[16], screen[HEIGHT][WIDTH];
static uint16_t pc, index_register, stack[16];
static unsigned depth;
static uint32_t random_state;

/* Thirty-two times: a few sums in a subroutine, and a sprite drawn at where they lead. */
static const uint16_t program[] = {
	/* 200 */ 0x6000, 0x6100, 0x6220, /* v0 = 0, v1 = 0, v2 = 32 */
	/* 206 */ 0x2220,		  /* call 220 */
	/* 208 */ 0xa300, 0xf31e,	  /* index = 300 + v3 */
	/* 20c */ 0xd018,		  /* draw 8 rows at v0, v1 */
	/* 20e */ 0x72ff, 0x3200,	  /* v2 -= 1; skip if 0 */
	/* 212 */ 0x1206,		  /* jump 206 */
	/* 214 */ 0x0000,		  /* halt */
	/* 216 */ 0x0000, 0x0000, 0x0000, 0x0000, 0x0000,
	/* 220 */ 0xc33f, 0x6410,	  /* v3 = random & 3f, v4 = 16 */
	/* 224 */ 0x8034, 0x8105, 0x8303, /* v0 += v3, v1 -= v0, v3 ^= v0 */
	/* 22a */ 0x8306, 0x830e, 0x8142, /* v3 >>= 1, v3 <<= 1, v1 &= v4 */
	/* 230 */ 0x8031, 0x9010, 0x7107, /* v0 |= v3, skip if v0 != v1: v1 += 7 */
	/* 236 */ 0x74ff, 0x3400, 0x1224, /* v4 -= 1; skip if 0: jump 224 */
	/* 23c */ 0x633f, 0x8302, 0x00ee, /* v3 = 3f & v0; return */
};

static void draw(unsigned x, unsigned y, unsigned rows)
{
	uint8_t hit = 0;
	for (unsigned row = 0; row < rows; row++) {
		unsigned bits = memory[(index_register + row) % MEMORY];
		for (unsigned column = 0; column < 8; column++) {
			uint8_t *pixel = &screen[(y + row) % HEIGHT][(x + column) % WIDTH];
			uint8_t bit = bits >> (7 - column) & 1;
			hit |= *pixel & bit;
			*pixel ^= bit;
		}
	}
	v[15] = hit;
}

static void arithmetic(unsigned operation, uint8_t *x, uint8_t y)
{
	unsigned result = *x;
	switch (operation) {
	case 0: result = y; break;
	case 1: result |= y; break;
	case 2: result &= y; break;
	case 3: result ^= y; break;
	case 4: result += y; v[15] = result > 255; break;
	case 5: v[15] = *x >= y; result -= y; break;
	case 6: v[15] = result & 1; result >>= 1; break;
	case 7: v[15] = y >= *x; result = y - result; break;
	case 14: v[15] = result >> 7 & 1; result <<= 1; break;
	}
	*x = (uint8_t)result;
}

static long run(void)
{
	for (long executed = 1;; executed++) {
		unsigned word = (unsigned)memory[pc] << 8 | memory[pc + 1];
		unsigned address = word & 0xfff, constant = word & 0xff;
		uint8_t *x = &v[word >> 8 & 15], y = v[word >> 4 & 15];
		pc = (pc + 2) % MEMORY;
		switch (word >> 12) {
		case 0:
			if (word != 0x00ee) return executed;
			pc = stack[--depth % 16];
			break;
		case 1: pc = (uint16_t)address; break;
		case 2:
			stack[depth++ % 16] = pc;
			pc = (uint16_t)address;
			break;
		case 3: pc += *x == constant ? 2 : 0; break;
		case 4: pc += *x != constant ? 2 : 0; break;
		case 5: pc += *x == y ? 2 : 0; break;
		case 6: *x = (uint8_t)constant; break;
		case 7: *x += (uint8_t)constant; break;
		case 8: arithmetic(word & 15, x, y); break;
		case 9: pc += *x != y ? 2 : 0; break;
		case 10: index_register = (uint16_t)address; break;
		case 11: pc = (uint16_t)((address + v[0]) % MEMORY); break;
		case 12: *x = (uint8_t)(next_random(&random_state) & constant); break;
		case 13: draw(*x, y, word & 15); break;
		case 15: index_register += *x; break;
		default: return executed;
		}
	}
}

int main(int argc, char **argv)
{
	int rounds = work(argc, argv) * 10;
	uint64_t sum = 0;
	random_state = 2024;
	for (int i = 0x300; i < MEMORY; i++) memory[i] = (uint8_t)next_random(&random_state);
	for (size_t i = 0; i < sizeof program / sizeof *program; i++) {
		memory[START + 2 * i] = (uint8_t)(program[i] >> 8);
		memory[START + 2 * i + 1] = (uint8_t)program[i];
	}
	for (int round = 0; round < rounds; round++) {
		pc = START;
		sum = mix(sum, (uint64_t)run());
		expect(depth == 0, "every call returned");
	}
	return finish(mix_bytes(sum, screen, sizeof screen));
}
