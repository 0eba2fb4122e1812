/* simdjson for C. The library is C++ throughout; what goes in and out is plain. */
#include "simdjson_c.h"
#include "simdjson.h"

using namespace simdjson;

struct json_document {
    dom::parser parser;
    dom::element root;
};

json_document *json_parse(const char *text, size_t length, const char **error)
{
    auto document = new json_document;
    error_code code = document->parser.parse(text, length).get(document->root);
    if (!code)
        return document;
    *error = error_message(code);
    delete document;
    return nullptr;
}

void json_free(json_document *document)
{
    delete document;
}

struct json_value json_at(json_document *document, const char *pointer)
{
    json_value found = {};
    dom::element element;
    if (document->root.at_pointer(pointer).get(element))
        return found;
    switch (element.type()) {
    case dom::element_type::NULL_VALUE: found.kind = JSON_NULL; break;
    case dom::element_type::BOOL: found.kind = JSON_BOOLEAN; found.integer = bool(element); break;
    case dom::element_type::INT64: found.kind = JSON_INTEGER; found.integer = int64_t(element); break;
    case dom::element_type::UINT64:
    case dom::element_type::DOUBLE: found.kind = JSON_NUMBER; found.number = double(element); break;
    case dom::element_type::ARRAY: found.kind = JSON_LIST; found.integer = dom::array(element).size(); break;
    case dom::element_type::OBJECT: found.kind = JSON_OBJECT; found.integer = dom::object(element).size(); break;
    case dom::element_type::STRING:
        found.kind = JSON_TEXT;
        found.text = element.get_c_str();
        found.length = element.get_string_length();
        break;
    }
    return found;
}
