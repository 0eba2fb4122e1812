/* Image blur: a 3 × 3 kernel over bytes. */
#include "../bench.h"

enum { WIDTH = 512, HEIGHT = 384 };
static uint8_t image[2][HEIGHT][WIDTH];

static void blur(uint8_t (*restrict to)[WIDTH], uint8_t (*restrict from)[WIDTH])
{
	for (int y = 1; y < HEIGHT - 1; y++)
		for (int x = 1; x < WIDTH - 1; x++) {
			unsigned corners = from[y - 1][x - 1] + from[y - 1][x + 1] + from[y + 1][x - 1] + from[y + 1][x + 1];
			unsigned sides = from[y - 1][x] + from[y + 1][x] + from[y][x - 1] + from[y][x + 1];
			to[y][x] = (uint8_t)((corners + 2 * sides + 4 * from[y][x] + 8) / 16);
		}
}

int main(int argc, char **argv)
{
	int rounds = work(argc, argv) * 10;
	uint32_t random = 7;
	for (int y = 0; y < HEIGHT; y++)
		for (int x = 0; x < WIDTH; x++) image[0][y][x] = image[1][y][x] = (uint8_t)next_random(&random);
	for (int round = 0; round < rounds; round++) blur(image[(round + 1) % 2], image[round % 2]);
	return finish(mix_bytes(0, image[rounds % 2], sizeof image[0]));
}
