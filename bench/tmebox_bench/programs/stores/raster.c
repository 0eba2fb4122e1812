/* Triangles into a frame and a depth buffer: inner loops that mostly store. */
#include "../bench.h"

enum { WIDTH = 320, HEIGHT = 200 };

static uint32_t frame[HEIGHT][WIDTH];
static uint16_t depth[HEIGHT][WIDTH];

static void clear(uint32_t color)
{
	for (int y = 0; y < HEIGHT; y++) {
		for (int x = 0; x < WIDTH; x++) frame[y][x] = color, depth[y][x] = 0xffff;
	}
}

static int edge(int ax, int ay, int bx, int by, int x, int y)
{
	return (bx - ax) * (y - ay) - (by - ay) * (x - ax);
}

static void triangle(const int *v, uint32_t color)
{
	int ax = v[0], ay = v[1], bx = v[2], by = v[3], cx = v[4], cy = v[5];
	int area = edge(ax, ay, bx, by, cx, cy);
	if (area <= 0) return;
	int left = ax < bx ? ax : bx, right = ax > bx ? ax : bx, top = ay < by ? ay : by, bottom = ay > by ? ay : by;
	left = left < cx ? left : cx, right = right > cx ? right : cx;
	top = top < cy ? top : cy, bottom = bottom > cy ? bottom : cy;
	for (int y = top; y <= bottom; y++) {
		int first = edge(ax, ay, bx, by, left, y), second = edge(bx, by, cx, cy, left, y);
		int third = edge(cx, cy, ax, ay, left, y);
		for (int x = left; x <= right; x++) {
			if ((first | second | third) >= 0) {
				uint16_t z = (uint16_t)(color + (uint32_t)(first >> 4));
				if (z < depth[y][x]) depth[y][x] = z, frame[y][x] = color + (uint32_t)x;
			}
			first -= by - ay, second -= cy - by, third -= ay - cy;
		}
	}
}

int main(int argc, char **argv)
{
	int rounds = work(argc, argv);
	uint32_t random = 123456789u;
	uint64_t sum = 0;
	for (int round = 0; round < rounds; round++) {
		clear((uint32_t)round);
		for (int i = 0; i < 24; i++) {
			int v[6];
			for (int k = 0; k < 6; k++) v[k] = (int)(next_random(&random) % (k & 1 ? HEIGHT : WIDTH));
			triangle(v, next_random(&random) & 0xffffff);
		}
		sum = mix(sum, frame[round % HEIGHT][(7 * round) % WIDTH]);
	}
	return finish(mix_bytes(sum, depth, sizeof depth));
}
