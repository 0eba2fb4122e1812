/* Shortest paths (Dijkstra with a heap) and breadth-first search over a graph of linked edges. */
#include "../bench.h"

enum { NODES = 20000, DEGREE = 5 };

struct edge {
	struct edge *next;
	struct vertex *to;
	uint32_t length;
};

struct vertex {
	struct edge *edges;
	uint32_t distance, hops;
};

struct item {
	uint32_t distance;
	struct vertex *vertex;
};

static struct vertex vertices[NODES];
static struct item heap[NODES * DEGREE + 1];
static int heap_size;
static struct vertex *queue[NODES];

static void push(struct item item)
{
	int at = heap_size++;
	for (; at && heap[(at - 1) / 2].distance > item.distance; at = (at - 1) / 2) heap[at] = heap[(at - 1) / 2];
	heap[at] = item;
}

static struct item pop(void)
{
	struct item top = heap[0], last = heap[--heap_size];
	int at = 0;
	for (int child; (child = 2 * at + 1) < heap_size; at = child) {
		if (child + 1 < heap_size && heap[child + 1].distance < heap[child].distance) child++;
		if (heap[child].distance >= last.distance) break;
		heap[at] = heap[child];
	}
	heap[at] = last;
	return top;
}

static uint64_t shortest(struct vertex *source)
{
	uint64_t sum = 0;
	for (int i = 0; i < NODES; i++) vertices[i].distance = UINT32_MAX;
	source->distance = 0;
	push((struct item){ 0, source });
	while (heap_size) {
		struct item item = pop();
		if (item.distance != item.vertex->distance) continue;
		sum = mix(sum, item.distance);
		for (struct edge *edge = item.vertex->edges; edge; edge = edge->next) {
			uint32_t distance = item.distance + edge->length;
			if (distance >= edge->to->distance) continue;
			edge->to->distance = distance;
			push((struct item){ distance, edge->to });
		}
	}
	return sum;
}

static uint64_t breadth(struct vertex *source)
{
	uint64_t sum = 0;
	int head = 0, tail = 0;
	for (int i = 0; i < NODES; i++) vertices[i].hops = UINT32_MAX;
	source->hops = 0;
	queue[tail++] = source;
	while (head < tail) {
		struct vertex *vertex = queue[head++];
		sum += vertex->hops;
		for (struct edge *edge = vertex->edges; edge; edge = edge->next)
			if (edge->to->hops == UINT32_MAX) {
				edge->to->hops = vertex->hops + 1;
				queue[tail++] = edge->to;
			}
	}
	return mix(sum, tail);
}

int main(int argc, char **argv)
{
	int rounds = work(argc, argv);
	uint32_t random = 1234567;
	for (int i = 0; i < NODES * DEGREE; i++) {
		struct vertex *from = &vertices[next_random(&random) % NODES];
		struct edge *edge = need(malloc(sizeof *edge));
		*edge = (struct edge){ from->edges, &vertices[next_random(&random) % NODES], 1 + next_random(&random) % 100 };
		from->edges = edge;
	}
	uint64_t sum = 0;
	for (int round = 0; round < rounds; round++) {
		sum = mix(sum, shortest(&vertices[next_random(&random) % NODES]));
		sum = mix(sum, breadth(&vertices[next_random(&random) % NODES]));
	}
	return finish(sum);
}
