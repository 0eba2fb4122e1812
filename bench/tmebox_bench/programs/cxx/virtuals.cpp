/* Virtual calls: an expression tree that is evaluated, measured and rewritten, and casts between its classes. */
#include <memory>
#include <utility>
#include <vector>

#include "../bench.h"

namespace {

struct Number;
struct Sum;
struct Product;
struct Choice;

struct Visitor {
	virtual ~Visitor() = default;
	virtual void see(const Number &) = 0;
	virtual void see(const Sum &) = 0;
	virtual void see(const Product &) = 0;
	virtual void see(const Choice &) = 0;
};

struct Node {
	virtual ~Node() = default;
	virtual uint64_t value(uint64_t x) const = 0;
	virtual int depth() const { return 1; }
	virtual void accept(Visitor &visitor) const = 0;
};

using Owned = std::unique_ptr<Node>;

struct Number final : Node {
	uint64_t number;
	explicit Number(uint64_t n) : number(n) {}
	uint64_t value(uint64_t x) const override { return number ^ x; }
	void accept(Visitor &visitor) const override { visitor.see(*this); }
};

struct Pair : Node {
	Owned left, right;
	Pair(Owned l, Owned r) : left(std::move(l)), right(std::move(r)) {}
	int depth() const override { return 1 + std::max(left->depth(), right->depth()); }
};

struct Sum final : Pair {
	using Pair::Pair;
	uint64_t value(uint64_t x) const override { return left->value(x) + right->value(x + 1); }
	void accept(Visitor &visitor) const override { visitor.see(*this); }
};

struct Product final : Pair {
	using Pair::Pair;
	uint64_t value(uint64_t x) const override { return left->value(x) * (right->value(x) | 1); }
	void accept(Visitor &visitor) const override { visitor.see(*this); }
};

struct Choice final : Pair {
	using Pair::Pair;
	uint64_t value(uint64_t x) const override { return x & 1 ? left->value(x >> 1) : right->value(x >> 1); }
	void accept(Visitor &visitor) const override { visitor.see(*this); }
};

struct Census final : Visitor {
	uint64_t kinds[4] = {};
	void both(const Pair &pair)
	{
		pair.left->accept(*this);
		pair.right->accept(*this);
	}
	void see(const Number &) override { kinds[0]++; }
	void see(const Sum &node) override { kinds[1]++, both(node); }
	void see(const Product &node) override { kinds[2]++, both(node); }
	void see(const Choice &node) override { kinds[3]++, both(node); }
};

Owned grow(uint32_t *state, int depth)
{
	uint32_t chance = next_random(state);
	if (depth == 0 || chance % 16 == 0) return std::make_unique<Number>(chance);
	Owned left = grow(state, depth - 1), right = grow(state, depth - 1);
	switch (chance % 3) {
	case 0: return std::make_unique<Sum>(std::move(left), std::move(right));
	case 1: return std::make_unique<Product>(std::move(left), std::move(right));
	default: return std::make_unique<Choice>(std::move(left), std::move(right));
	}
}

/* Products on the way down become sums. */
Owned softened(Owned node)
{
	if (auto *pair = dynamic_cast<Pair *>(node.get())) {
		pair->left = softened(std::move(pair->left));
		if (auto *product = dynamic_cast<Product *>(pair))
			return std::make_unique<Sum>(std::move(product->left), std::move(product->right));
	}
	return node;
}

}

int main(int argc, char **argv)
{
	uint32_t state = 88172645u;
	uint64_t sum = 1;
	for (int left = work(argc, argv); left; left--) {
		std::vector<Owned> trees;
		for (int i = 0; i < 8; i++) trees.push_back(grow(&state, 10));
		for (auto &tree : trees) {
			for (uint64_t x = 0; x < 60; x++) sum = mix(sum, tree->value(x * 0x9e3779b9u));
			tree = softened(std::move(tree));
			Census census;
			tree->accept(census);
			for (uint64_t count : census.kinds) sum = mix(sum, count);
			sum = mix(sum, tree->value(7) + static_cast<uint64_t>(tree->depth()));
		}
	}
	return finish(sum);
}
