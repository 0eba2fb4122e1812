/* simdjson parses a document that this program has written, and every value is looked at. */
#include "simdjson.h"

#include <string>

#include "../bench.h"

namespace {

std::string document(uint32_t *state)
{
	std::string text = "{\"made\": [";
	for (int i = 0; i < 4000; i++) {
		uint32_t chance = next_random(state);
		if (i) text += ",\n  ";
		text += "{\"id\": " + std::to_string(i) + ", \"name\": \"item \\u00e9 " + std::to_string(chance) + "\", \"price\": ";
		text += std::to_string(chance % 10000) + "." + std::to_string(chance % 97) + ", \"sold\": ";
		text += chance & 1 ? "true" : "null";
		text += ", \"sizes\": [";
		for (uint32_t size = 0; size < chance % 7; size++) text += (size ? ", " : "") + std::to_string(size * chance);
		text += "]}";
	}
	return text + "]}";
}

uint64_t look(simdjson::dom::element element, uint64_t sum)
{
	switch (element.type()) {
	case simdjson::dom::element_type::ARRAY:
		for (auto item : simdjson::dom::array(element)) sum = look(item, sum);
		return sum;
	case simdjson::dom::element_type::OBJECT:
		for (auto field : simdjson::dom::object(element)) sum = look(field.value, mix(sum, field.key.size()));
		return sum;
	case simdjson::dom::element_type::INT64: return mix(sum, static_cast<uint64_t>(int64_t(element)));
	case simdjson::dom::element_type::UINT64: return mix(sum, uint64_t(element));
	case simdjson::dom::element_type::DOUBLE: return mix_double(sum, double(element));
	case simdjson::dom::element_type::STRING: return mix(sum, std::string_view(element).size());
	case simdjson::dom::element_type::BOOL: return mix(sum, bool(element));
	default: return mix(sum, 0);
	}
}

}

int main(int argc, char **argv)
{
	uint32_t state = 362436069u;
	std::string text = document(&state);
	simdjson::dom::parser parser;
	uint64_t sum = 1;
	for (int left = work(argc, argv); left; left--) {
		simdjson::dom::element element = parser.parse(text);
		sum = left % 8 ? mix(sum, simdjson::dom::object(element).size()) : look(element, sum);
	}
	return finish(sum);
}
