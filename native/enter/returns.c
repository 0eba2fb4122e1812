/* Where calls return to, and how deep the stack is there: for longjmp, which may only go to a frame that is live.
 *
 * The verifier has found these numbers; texts bring them when they are loaded. Everything with the GIL held. */
#include "enter/returns.h"
#include "enter/control.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>

struct text {
    uint64_t start, end;
    uint32_t count;
    uint32_t *places, *depths;
    struct text *next;
};

static struct text *texts;

static void forget(uint64_t start, uint64_t end) {
    for (struct text **link = &texts; *link != NULL;) {
        struct text *text = *link;
        if (text->start < end && start < text->end) {
            *link = text->next;
            free(text->places);
            free(text->depths);
            free(text);
        } else {
            link = &text->next;
        }
    }
}

bool tmebox_note_returns(uint64_t start, uint64_t end, const uint32_t *places, const uint32_t *depths, size_t count) {
    forget(start, end);
    if (count == 0) {
        return true;
    }
    struct text *text = calloc(1, sizeof *text);
    if (text != NULL) {
        *text = (struct text){start, end, (uint32_t)count, malloc(count * 4), malloc(count * 4), texts};
        if (text->places != NULL && text->depths != NULL) {
            memcpy(text->places, places, count * 4);
            memcpy(text->depths, depths, count * 4);
            texts = text;
            return true;
        }
        free(text->places);
        free(text->depths);
        free(text);
    }
    return false;
}

/* The depth at a place that a call returns to; -1: it is none. */
static int64_t depth_at(uint64_t address) {
    for (const struct text *text = texts; text != NULL; text = text->next) {
        if (address - text->start >= text->end - text->start) {
            continue;
        }
        uint32_t place = (uint32_t)(address - text->start), low = 0, high = text->count;
        while (low < high) {
            uint32_t middle = low + (high - low) / 2;
            if (text->places[middle] < place) {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        return low < text->count && text->places[low] == place ? text->depths[low] : -1;
    }
    return -1;
}

/* rsp points at a return address, and so does where each frame ends. What the sandbox asks for is where rsp is to be
 * and where to go on: good if the frame that would end there is one of those that have not returned. */
bool tmebox_longjmp(struct activation *activation, uint64_t offset, uint64_t address) {
    const struct instance *instance = activation->instance;
    int64_t depth = depth_at(address);
    uint64_t base = instance->control_base, top = base + TMEBOX_STACK_TOP;
    uint64_t wanted = base + (uint32_t)offset + (uint64_t)depth;
    if (depth < 0 || offset % 8 != 0) {
        return false;
    }
    for (uint64_t place = activation->rsp; place >= base && place <= top - 8;) {
        int64_t frame = depth_at(*(const uint64_t *)(uintptr_t)place);
        if (frame < 0) {
            return false; /* where the core called */
        }
        place += 8 + (uint64_t)frame;
        if (place == wanted && base + (uint32_t)offset - 8 >= activation->rsp) {
            activation->rsp = base + (uint32_t)offset - 8;
            *(uint64_t *)(uintptr_t)activation->rsp = address;
            return true;
        }
    }
    return false;
}
