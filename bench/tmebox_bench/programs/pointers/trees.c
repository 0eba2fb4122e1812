/* Binary trees that come and go: mostly malloc, free and recursion. */
#include "../bench.h"

struct tree {
	struct tree *left, *right;
};

static struct tree *grow(int depth)
{
	struct tree *tree = need(malloc(sizeof *tree));
	tree->left = depth ? grow(depth - 1) : NULL;
	tree->right = depth ? grow(depth - 1) : NULL;
	return tree;
}

static int count(const struct tree *tree)
{
	return tree ? 1 + count(tree->left) + count(tree->right) : 0;
}

static void fell(struct tree *tree)
{
	if (!tree) return;
	fell(tree->left);
	fell(tree->right);
	free(tree);
}

int main(int argc, char **argv)
{
	int rounds = work(argc, argv);
	struct tree *kept = grow(14);
	uint64_t sum = 0;
	for (int round = 0; round < rounds; round++)
		for (int depth = 4; depth <= 14; depth += 2)
			for (int i = 0; i < 1 << (14 - depth); i++) {
				struct tree *tree = grow(depth);
				sum += count(tree);
				fell(tree);
			}
	expect(count(kept) == (1 << 15) - 1, "the tree that was kept");
	fell(kept);
	return finish(sum);
}
