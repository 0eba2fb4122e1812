/* Balanced search tree (AVL): insert, find, remove. */
#include "../bench.h"

struct node {
	struct node *child[2];
	uint32_t key;
	int32_t height;
};

static int height(const struct node *node)
{
	return node ? node->height : 0;
}

static void measure(struct node *node)
{
	int left = height(node->child[0]), right = height(node->child[1]);
	node->height = 1 + (left > right ? left : right);
}

static struct node *rotate(struct node *node, int up)
{
	struct node *top = node->child[up];
	node->child[up] = top->child[!up];
	top->child[!up] = node;
	measure(node);
	measure(top);
	return top;
}

static struct node *balance(struct node *node)
{
	measure(node);
	int lean = height(node->child[1]) - height(node->child[0]);
	if (lean >= -1 && lean <= 1) return node;
	int heavy = lean > 0;
	struct node *child = node->child[heavy];
	if (height(child->child[!heavy]) > height(child->child[heavy])) node->child[heavy] = rotate(child, !heavy);
	return rotate(node, heavy);
}

static struct node *insert(struct node *node, uint32_t key)
{
	if (!node) {
		node = need(calloc(1, sizeof *node));
		node->key = key;
		node->height = 1;
		return node;
	}
	if (key == node->key) return node;
	int side = key > node->key;
	node->child[side] = insert(node->child[side], key);
	return balance(node);
}

static struct node *take_least(struct node *node, struct node **least)
{
	if (!node->child[0]) {
		*least = node;
		return node->child[1];
	}
	node->child[0] = take_least(node->child[0], least);
	return balance(node);
}

static struct node *erase(struct node *node, uint32_t key)
{
	if (!node) return NULL;
	if (key != node->key) {
		int side = key > node->key;
		node->child[side] = erase(node->child[side], key);
		return balance(node);
	}
	struct node *left = node->child[0], *right = node->child[1], *least;
	free(node);
	if (!right) return left;
	right = take_least(right, &least);
	least->child[0] = left;
	least->child[1] = right;
	return balance(least);
}

static int holds(const struct node *node, uint32_t key)
{
	while (node && node->key != key) node = node->child[key > node->key];
	return node != NULL;
}

static uint64_t walk(const struct node *node, uint64_t sum)
{
	if (!node) return sum;
	sum = walk(node->child[0], sum);
	return walk(node->child[1], mix(sum, node->key));
}

int main(int argc, char **argv)
{
	int rounds = work(argc, argv);
	uint32_t random = 271828;
	struct node *root = NULL;
	uint64_t found = 0;
	for (int round = 0; round < rounds; round++) {
		for (int i = 0; i < 10000; i++) root = insert(root, next_random(&random) % 50000);
		for (int i = 0; i < 30000; i++) found += holds(root, next_random(&random) % 50000);
		for (int i = 0; i < 10000; i++) root = erase(root, next_random(&random) % 50000);
	}
	return finish(walk(root, found));
}
