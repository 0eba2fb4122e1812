/* The library's containers and algorithms: orders go through maps, a heap, a deque and sorted vectors. */
#include <algorithm>
#include <deque>
#include <map>
#include <numeric>
#include <queue>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "../bench.h"

namespace {

struct Order {
	uint32_t customer, price, amount;
	bool operator<(const Order &other) const { return price < other.price; }
};

uint64_t day(uint32_t *state, uint64_t sum)
{
	std::vector<Order> orders(4000);
	for (Order &order : orders) {
		order.customer = next_random(state) % 700;
		order.price = next_random(state) % 5000;
		order.amount = next_random(state) % 20 + 1;
	}

	std::unordered_map<uint32_t, uint64_t> spent;
	std::map<uint32_t, std::vector<size_t>> by_price;
	std::set<std::string> names;
	for (size_t i = 0; i < orders.size(); i++) {
		spent[orders[i].customer] += uint64_t{orders[i].price} * orders[i].amount;
		by_price[orders[i].price / 50].push_back(i);
		names.insert("customer " + std::to_string(orders[i].customer));
	}
	for (const auto &[price, places] : by_price) sum = mix(sum, price * places.size() + places.back());
	for (const auto &name : names) sum = mix(sum, static_cast<unsigned char>(name.back()) + name.size());

	std::vector<Order> sorted = orders;
	std::sort(sorted.begin(), sorted.end());
	std::stable_sort(orders.begin(), orders.end(), [](const Order &a, const Order &b) { return a.customer < b.customer; });
	auto half = std::partition(sorted.begin(), sorted.end(), [](const Order &o) { return o.amount > 10; });
	sum = mix(sum, static_cast<uint64_t>(half - sorted.begin()));
	for (const Order &order : orders) sum = mix(sum, order.price);

	std::priority_queue<Order> queue;
	std::deque<uint32_t> last;
	for (const Order &order : orders) {
		queue.push(order);
		if (queue.size() > 500) {
			last.push_back(queue.top().price);
			queue.pop();
		}
		if (last.size() > 64) last.pop_front();
	}
	sum = mix(sum, std::accumulate(last.begin(), last.end(), uint64_t{0}));
	std::vector<uint64_t> totals;
	for (uint32_t customer = 0; customer < 700; customer++)
		if (auto found = spent.find(customer); found != spent.end()) totals.push_back(found->second);
	std::nth_element(totals.begin(), totals.begin() + static_cast<long>(totals.size() / 2), totals.end());
	return mix(sum, totals[totals.size() / 2]);
}

}

int main(int argc, char **argv)
{
	uint32_t state = 123456789u;
	uint64_t sum = 1;
	for (int left = work(argc, argv); left; left--) sum = day(&state, sum);
	return finish(sum);
}
