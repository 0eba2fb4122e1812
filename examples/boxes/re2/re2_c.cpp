/* RE2 for C. The library is C++ throughout; what goes in and out is plain. */
#include "re2_c.h"
#include "re2/re2.h"
#include <vector>

struct re2_pattern {
    RE2 compiled;
};

static RE2::Options quiet()
{
    RE2::Options options;
    options.set_log_errors(false);
    return options;
}

re2_pattern *re2_new(const char *text, size_t length)
{
    return new re2_pattern{RE2(re2::StringPiece(text, length), quiet())};
}

void re2_free(re2_pattern *pattern)
{
    delete pattern;
}

const char *re2_error(const re2_pattern *pattern)
{
    return pattern->compiled.error().c_str();
}

int re2_groups(const re2_pattern *pattern)
{
    return pattern->compiled.NumberOfCapturingGroups();
}

int re2_match(const re2_pattern *pattern, const char *text, size_t length, struct re2_group *groups, int count)
{
    std::vector<re2::StringPiece> found(count);
    if (!pattern->compiled.Match(re2::StringPiece(text, length), 0, length, RE2::UNANCHORED, found.data(), count))
        return 0;
    for (int n = 0; n < count; n++) {
        groups[n].start = found[n].data() ? found[n].data() - text : -1;
        groups[n].length = found[n].size();
    }
    return 1;
}
