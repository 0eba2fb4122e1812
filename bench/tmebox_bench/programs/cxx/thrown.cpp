/* Exceptions: thrown one to thirty frames deep, past objects with destructors, caught by type, and thrown again. */
#include <memory>
#include <stdexcept>
#include <string>

#include "../bench.h"

namespace {

uint64_t sum = 1;

struct Guard {
	uint32_t value;
	explicit Guard(uint32_t v) : value(v) {}
	~Guard() { sum = mix(sum, value); }
};

struct Missing : std::runtime_error {
	uint32_t key;
	explicit Missing(uint32_t k) : std::runtime_error("missing " + std::to_string(k)), key(k) {}
};

__attribute__((noinline)) uint32_t descend(uint32_t depth, uint32_t key)
{
	Guard guard(depth ^ key);
	if (depth == 0) {
		switch (key % 4) {
		case 0: throw Missing(key);
		case 1: throw std::out_of_range("beyond");
		case 2: throw key;
		default: return key;
		}
	}
	auto kept = std::make_unique<uint32_t>(depth);
	return descend(depth - 1, key) + *kept;
}

__attribute__((noinline)) uint32_t again(uint32_t depth, uint32_t key)
{
	try {
		return descend(depth, key);
	} catch (const std::logic_error &error) {
		sum = mix_bytes(sum, error.what(), 6);
		throw;
	}
}

uint32_t attempt(uint32_t depth, uint32_t key)
{
	try {
		return again(depth, key);
	} catch (const Missing &missing) {
		return missing.key * 3;
	} catch (const std::exception &error) {
		return static_cast<uint32_t>(error.what()[0]);
	} catch (uint32_t number) {
		return number * 5;
	}
}

}

int main(int argc, char **argv)
{
	uint32_t state = 2463534242u;
	for (int left = work(argc, argv) * 1000; left; left--) {
		uint32_t depth = next_random(&state) % 30 + 1;
		sum = mix(sum, attempt(depth, next_random(&state)));
	}
	return finish(sum);
}
