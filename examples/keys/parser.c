/* Reads requests from the network. A heartbeat says how long its payload is, and gets it back: the parser believes it.

   Type (1 byte: 'H' heartbeat, 'S' sign), size (2 bytes, the high one first), payload. */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

static uint8_t received[64];
static uint8_t answer[1 << 16];

/* The answer's size; `type` is what was asked for. */
int parse(const uint8_t *request, size_t size, uint8_t *type, uint8_t *out)
{
	if (size < 3 || size > sizeof received) return -1;
	memcpy(received, request, size);
	size_t claimed = (size_t)received[1] << 8 | received[2];
	*type = received[0];
	memcpy(answer, received + 3, claimed); /* nobody has looked at how much was sent */
	memcpy(out, answer, claimed);
	return (int)claimed;
}
