/* A forest of decision trees, as learning libraries walk it: a load decides which load comes next. */
#include "../bench.h"

enum { TREES = 64, DEPTH = 8, NODES = (1 << (DEPTH + 1)) - 1, FEATURES = 24, ROWS = 256 };

struct node {
	float threshold;
	int16_t feature; /* negative: a leaf */
	int16_t left, right;
	float weight;
};

static struct node forest[TREES][NODES];
static float rows[ROWS][FEATURES];

static void plant(struct node *nodes, int at, int depth, uint32_t *random)
{
	struct node *n = &nodes[at];
	uint32_t value = next_random(random);
	n->threshold = (float)(value >> 8 & 0xffff) / 65536;
	n->weight = (float)(int)(value % 201) - 100;
	n->feature = depth == DEPTH || value >> 29 == 0 ? -1 : (int16_t)(value % FEATURES);
	if (n->feature < 0) return;
	n->left = (int16_t)(2 * at + 1);
	n->right = (int16_t)(2 * at + 2);
	plant(nodes, n->left, depth + 1, random);
	plant(nodes, n->right, depth + 1, random);
}

static float judge(const float *row)
{
	float sum = 0;
	for (int tree = 0; tree < TREES; tree++) {
		const struct node *nodes = forest[tree], *n = nodes;
		while (n->feature >= 0) n = nodes + (row[n->feature] < n->threshold ? n->left : n->right);
		sum += n->weight;
	}
	return sum;
}

int main(int argc, char **argv)
{
	int rounds = work(argc, argv);
	uint32_t random = 193939u;
	uint64_t sum = 0;
	for (int tree = 0; tree < TREES; tree++) plant(forest[tree], 0, 0, &random);
	for (int i = 0; i < ROWS; i++) {
		for (int k = 0; k < FEATURES; k++) rows[i][k] = (float)(next_random(&random) & 0xffff) / 65536;
	}
	for (int round = 0; round < rounds; round++) {
		for (int i = 0; i < ROWS; i++) sum = mix(sum, (uint64_t)(int64_t)judge(rows[i]));
		rows[round % ROWS][round % FEATURES] = (float)(next_random(&random) & 0xffff) / 65536;
	}
	return finish(sum);
}
