/* Decodes an image of runs: "RUN", width and height (1 byte each), then pairs of a count and a grey value.

   It has the defect that many decoders had: it believes the counts, and writes on where the image has ended. */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* 0, or -1 for no image. The pixels go to `image`, row by row. */
int decode(const uint8_t *file, size_t size, uint8_t *image)
{
	if (size < 5 || memcmp(file, "RUN", 3)) return -1;
	for (size_t i = 5; i + 1 < size; i += 2) {
		memset(image, file[i + 1], file[i]); /* nobody has looked whether there is room */
		image += file[i];
	}
	return 0;
}
