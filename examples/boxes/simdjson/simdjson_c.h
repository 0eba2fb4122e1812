/* What of simdjson is boxed, for C: a document, and the values at JSON pointers in it. */
#ifdef __cplusplus
extern "C" {
#endif
#include <stddef.h>

typedef struct json_document json_document;
enum json_kind { JSON_NOTHING, JSON_NULL, JSON_BOOLEAN, JSON_INTEGER, JSON_NUMBER, JSON_TEXT, JSON_LIST, JSON_OBJECT };
struct json_value {
    enum json_kind kind;
    long long integer; /* also a boolean, and how many items a list or object has */
    double number;
    const char *text; /* not ended by NUL; as long as the document is there */
    size_t length;
};

/* A document, or NULL where it is none; then *error says why. Free it with json_free(). */
json_document *json_parse(const char *text, size_t length, const char **error);
void json_free(json_document *document);
/* The value at a JSON pointer such as "/list/3"; JSON_NOTHING where there is none. */
struct json_value json_at(json_document *document, const char *pointer);
#ifdef __cplusplus
}
#endif
