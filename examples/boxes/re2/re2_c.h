/* What of RE2 is boxed, for C: patterns, and where they match. */
#ifdef __cplusplus
extern "C" {
#endif
#include <stddef.h>

typedef struct re2_pattern re2_pattern;
struct re2_group { ptrdiff_t start, length; };

/* A pattern, or one that re2_error() says the fault of. Free it with re2_free(). */
re2_pattern *re2_new(const char *text, size_t length);
void re2_free(re2_pattern *pattern);
/* An empty text for a pattern that is right. */
const char *re2_error(const re2_pattern *pattern);
/* How many groups it has, the whole not counted. */
int re2_groups(const re2_pattern *pattern);
/* Whether it matches; then groups[0] is the whole, and start is -1 for groups that are not set. */
int re2_match(const re2_pattern *pattern, const char *text, size_t length, struct re2_group *groups, int count);
#ifdef __cplusplus
}
#endif
