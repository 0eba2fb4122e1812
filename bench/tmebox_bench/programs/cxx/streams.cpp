/* Streams and strings: a table is written as text, read back word by word, sorted out, and written again. */
#include <iomanip>
#include <iostream>
#include <sstream>
#include <string>
#include <vector>

#include "../bench.h"

namespace {

struct Row {
	std::string name;
	int amount;
	double price;
};

std::vector<Row> rows(uint32_t *state, int count)
{
	static const char *const parts[] = {"bolt", "washer", "long screw", "nut", "rivet", "spring"};
	std::vector<Row> found;
	for (int i = 0; i < count; i++) {
		uint32_t chance = next_random(state);
		std::string name = parts[chance % 6];
		name += '-' + std::to_string(chance >> 20);
		if (chance & 1) name.insert(0, "used ");
		found.push_back({std::move(name), static_cast<int>(chance % 1000), (chance % 100000) / 64.0});
	}
	return found;
}

std::string written(const std::vector<Row> &table)
{
	std::ostringstream out;
	for (const Row &row : table)
		out << std::left << std::setw(24) << row.name << ';' << std::right << std::setw(6) << row.amount << ';'
		    << std::hex << row.amount << std::dec << ';' << std::fixed << std::setprecision(3) << row.price << '\n';
	return out.str();
}

uint64_t read_back(const std::string &text, uint64_t sum)
{
	std::istringstream in(text);
	std::string line;
	std::ostringstream kept;
	while (std::getline(in, line)) {
		std::istringstream fields(line);
		std::string name, rest;
		int amount = 0, again = 0;
		char mark = 0;
		std::getline(fields, name, ';');
		fields >> amount >> mark >> std::hex >> again;
		std::getline(fields >> mark, rest);
		name.erase(name.find_last_not_of(' ') + 1);
		if (size_t at = name.find("screw"); at != std::string::npos) name.replace(at, 5, "thread");
		if (amount == again && name.compare(0, 4, "used") != 0) kept << name << '=' << amount << ' ';
		sum = mix(mix(sum, rest.size()), static_cast<uint64_t>(amount));
	}
	std::string text_kept = kept.str();
	return mix_bytes(sum, text_kept.data(), text_kept.size());
}

}

int main(int argc, char **argv)
{
	uint32_t state = 521288629u;
	uint64_t sum = 1;
	for (int left = work(argc, argv); left; left--) sum = read_back(written(rows(&state, 500)), sum);
	std::cout << std::hex << std::setw(16) << std::setfill('0') << sum << std::endl;
	return 0;
}
