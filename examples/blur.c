/* Box blur of an 8-bit image: each pixel becomes the mean of the pixels at most `radius` away. */
#include <stdint.h>

void blur(const uint8_t *in, uint8_t *out, int width, int height, int radius)
{
	for (int y = 0; y < height; y++) {
		for (int x = 0; x < width; x++) {
			unsigned sum = 0, count = 0;
			for (int v = y - radius; v <= y + radius; v++) {
				for (int u = x - radius; u <= x + radius; u++) {
					if (v < 0 || v >= height || u < 0 || u >= width)
						continue;
					sum += in[v * width + u];
					count++;
				}
			}
			out[y * width + x] = sum / count;
		}
	}
}
