/* Huffman coding: count, build the tree with a heap, write bits, and walk the tree to read them. */
#include "sample.h"

enum { SIZE = 1 << 18, NODES = 511 };
static uint8_t data[SIZE], packed[2 * SIZE], unpacked[SIZE];

static struct {
	uint32_t count;
	int16_t child[2];
} nodes[NODES];

static struct {
	uint32_t bits;
	uint8_t length;
} codes[256];

static int heap[256], heap_size;

static void push(int node)
{
	int at = heap_size++;
	for (; at && nodes[heap[(at - 1) / 2]].count > nodes[node].count; at = (at - 1) / 2) heap[at] = heap[(at - 1) / 2];
	heap[at] = node;
}

static int pop(void)
{
	int top = heap[0], last = heap[--heap_size], at = 0;
	for (int child; (child = 2 * at + 1) < heap_size; at = child) {
		if (child + 1 < heap_size && nodes[heap[child + 1]].count < nodes[heap[child]].count) child++;
		if (nodes[heap[child]].count >= nodes[last].count) break;
		heap[at] = heap[child];
	}
	heap[at] = last;
	return top;
}

static void assign(int node, uint32_t bits, uint8_t length)
{
	if (node < 256) {
		expect(length <= 32, "a code fits a word");
		codes[node].bits = bits;
		codes[node].length = length;
		return;
	}
	assign(nodes[node].child[0], bits << 1, length + 1);
	assign(nodes[node].child[1], bits << 1 | 1, length + 1);
}

static int build(void)
{
	int count = 256;
	memset(nodes, 0, sizeof nodes);
	for (int i = 0; i < SIZE; i++) nodes[data[i]].count++;
	heap_size = 0;
	for (int i = 0; i < 256; i++)
		if (nodes[i].count) push(i);
	while (heap_size > 1) {
		int one = pop(), other = pop();
		nodes[count].count = nodes[one].count + nodes[other].count;
		nodes[count].child[0] = (int16_t)one;
		nodes[count].child[1] = (int16_t)other;
		push(count++);
	}
	assign(heap[0], 0, 0);
	return heap[0];
}

static size_t pack(void)
{
	uint64_t pending = 0;
	int held = 0;
	size_t to = 0;
	for (int i = 0; i < SIZE; i++) {
		pending = pending << codes[data[i]].length | codes[data[i]].bits;
		held += codes[data[i]].length;
		for (; held >= 8; held -= 8) packed[to++] = (uint8_t)(pending >> (held - 8));
	}
	packed[to++] = (uint8_t)(pending << (8 - held));
	return to;
}

static void unpack(int root)
{
	size_t bit = 0;
	for (int i = 0; i < SIZE; i++) {
		int node = root;
		for (; node >= 256; bit++) node = nodes[node].child[packed[bit / 8] >> (7 - bit % 8) & 1];
		unpacked[i] = (uint8_t)node;
	}
}

int main(int argc, char **argv)
{
	int rounds = work(argc, argv);
	uint64_t sum = 0;
	for (int round = 0; round < rounds; round++) {
		make_sample(data, SIZE, (uint32_t)round + 1);
		int root = build();
		sum = mix(sum, pack());
		unpack(root);
		expect(!memcmp(data, unpacked, SIZE), "the round trip");
	}
	return finish(sum);
}
