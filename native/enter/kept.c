/* What a call leaves as it was if an exception of the host's ends it: its frames are gone, and nobody else puts back what
 * they would have. The sandbox's own module says where that is, so each word is read and written as its own code could. */
#include "enter/enter.h"
#include "enter/guestmemory.h"

static bool find(const struct instance *instance, const struct kept *word, uint64_t *place) {
    uint64_t base = 0;
    bool found = word->base == 0 || tmebox_guest_copy_in(instance, &base, word->base, sizeof base);
    *place = base + word->place;
    return found;
}

void tmebox_keep_words(struct activation *activation) {
    const struct instance *instance = activation->instance;
    uint64_t place;
    activation->kept_known = 0;
    for (uint32_t i = 0; activation->depth > 1 && i < instance->kept_count; i++) {
        uint64_t *value = &activation->kept[i];
        bool known = find(instance, &instance->kept[i], &place) &&
                     tmebox_guest_copy_in(instance, value, place, sizeof *value);
        activation->kept_known |= (uint32_t)known << i;
    }
}

void tmebox_put_words_back(const struct activation *activation) {
    const struct instance *instance = activation->instance;
    for (uint32_t i = 0; i < instance->kept_count; i++) {
        const struct kept *word = &instance->kept[i];
        uint64_t place, value = word->at_rest;
        bool known = true;
        if (activation->depth > 1) {
            known = activation->kept_known >> i & 1;
            value = activation->kept[i];
        } else if (word->rest_place != 0) {
            known = tmebox_guest_copy_in(instance, &value, word->rest_place, sizeof value);
        }
        if (known && find(instance, word, &place)) {
            tmebox_guest_copy_out(instance, place, &value, sizeof value); /* what cannot be written stays */
        }
    }
}
