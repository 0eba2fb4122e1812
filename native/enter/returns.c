/* Where calls return to, and how deep the stack is there: for longjmp and exceptions, which may only go to a frame that is
 * live.
 *
 * The verifier has found these numbers; texts bring them when they are loaded, with the GIL held. Everything else, too,
 * but for walks over a stack by tmebox_begin_walk: while there are any, no text comes or goes. */
#include "enter/returns.h"
#include "enter/control.h"

#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#define NEAR 6 /* bits: so many bytes of text have one entry in the index */

#define SLOT TMEBOX_TEXT_ALIGN /* each begins at most one text */
#define SLOTS ((TMEBOX_CODE_END - TMEBOX_CODE_BASE) / SLOT)

/* first: of each stretch of the text, the first of its places or of what comes after. */
struct text {
    uint64_t start, end;
    uint32_t count;
    uint32_t *places, *depths, *first;
};

/* By the slots that it is in: a walk over a deep stack looks for millions. */
static struct text *texts[SLOTS];

/* Which texts there are, so to speak: another number after each change. */
static uint64_t edition = 1;

/* Somebody wants to change them, or does. */
static _Atomic bool changing;

static void free_text(struct text *text) {
    if (text != NULL) {
        free(text->places);
        free(text->depths);
        free(text->first);
        free(text);
    }
}

static uint64_t slot_of(uint64_t address) {
    return (address - TMEBOX_CODE_BASE) / SLOT; /* too large for what is not code */
}

static void put(uint64_t start, uint64_t end, struct text *text) {
    for (uint64_t slot = slot_of(start); slot < SLOTS && slot <= slot_of(end - 1); slot++) {
        texts[slot] = text;
    }
}

static void forget(uint64_t start, uint64_t end) {
    edition++;
    for (uint64_t slot = slot_of(start); slot < SLOTS && slot <= slot_of(end - 1); slot++) {
        struct text *text = texts[slot];
        if (text != NULL) {
            put(text->start, text->end, NULL);
            free_text(text);
        }
    }
}

static struct text *new_text(uint64_t start, uint64_t end, size_t count) {
    struct text *text = calloc(1, sizeof *text);
    if (text != NULL) {
        *text = (struct text){.start = start, .end = end, .count = (uint32_t)count};
        text->places = malloc(count * 4);
        text->depths = malloc(count * 4);
        text->first = malloc((((end - start) >> NEAR) + 2) * 4);
        if (text->places == NULL || text->depths == NULL || text->first == NULL) {
            free_text(text);
            text = NULL;
        }
    }
    return text;
}

static bool note(uint64_t start, uint64_t end, const uint32_t *places, const uint32_t *depths, size_t count) {
    forget(start, end);
    if (count == 0 || slot_of(start) >= SLOTS) {
        return true;
    }
    struct text *text = new_text(start, end, count);
    if (text == NULL) {
        return false;
    }
    memcpy(text->places, places, count * 4);
    memcpy(text->depths, depths, count * 4);
    uint32_t at = 0;
    for (uint64_t stretch = 0; stretch <= ((end - start) >> NEAR) + 1; stretch++) {
        while (at < count && places[at] < stretch << NEAR) {
            at++;
        }
        text->first[stretch] = at;
    }
    put(start, end, text);
    return true;
}

/* Each walk is short, and who walks waits for nobody. In a forked child, only its own threads are in the registry. */
static void wait_for_walks(void) {
    pthread_mutex_lock(&tmebox_registry_lock);
    for (const struct thread *thread = tmebox_registry; thread != NULL; thread = thread->next) {
        while (atomic_load(&thread->walks)) {
            sched_yield();
        }
    }
    pthread_mutex_unlock(&tmebox_registry_lock);
}

bool tmebox_note_returns(uint64_t start, uint64_t end, const uint32_t *places, const uint32_t *depths, size_t count) {
    atomic_store(&changing, true);
    wait_for_walks();
    bool noted = note(start, end, places, depths, count);
    atomic_store(&changing, false);
    return noted;
}

bool tmebox_begin_walk(struct thread *thread) {
    atomic_store(&thread->walks, true); /* before looking: one of the two sees the other */
    if (atomic_load(&changing)) {
        tmebox_end_walk(thread);
        return false;
    }
    return true;
}

void tmebox_end_walk(struct thread *thread) {
    atomic_store_explicit(&thread->walks, false, memory_order_release);
}

static const struct text *text_at(uint64_t address) {
    const struct text *text = slot_of(address) < SLOTS ? texts[slot_of(address)] : NULL;
    return text != NULL && address - text->start < text->end - text->start ? text : NULL;
}

int64_t tmebox_depth_at(uint64_t address) {
    const struct text *text = text_at(address);
    if (text == NULL) {
        return -1;
    }
    uint32_t place = (uint32_t)(address - text->start);
    uint32_t at = text->first[place >> NEAR], end = text->first[(place >> NEAR) + 1];
    while (at < end && text->places[at] < place) {
        at++;
    }
    return at < end && text->places[at] == place ? (int64_t)text->depths[at] : -1;
}

/* By what the thread's last walks found after as many frames. Programs that jump often jump over the same frames, and
 * the CPU goes on with the next one before it knows that this one is the same. */
static int64_t depth_in_walk(struct walked *walked, uint64_t address, size_t frames) {
    size_t at = frames % TMEBOX_FRAMES_KEPT;
    if (UNLIKELY(walked->frames[at].address != address)) {
        walked->frames[at].depth = tmebox_depth_at(address);
        walked->frames[at].address = address;
    }
    return walked->frames[at].depth;
}

static struct walked *last_walks(struct thread *thread) {
    struct walked *walked = &thread->walked;
    if (UNLIKELY(walked->edition != edition)) {
        memset(walked->frames, 0xff, sizeof walked->frames); /* no return address, and no depth */
        walked->edition = edition;
    }
    return walked;
}

bool tmebox_is_function(uint64_t address) {
    return text_at(address) != NULL && *(const uint8_t *)(address + TMEBOX_TARGET_MAP) & TMEBOX_TARGET_FUNCTION;
}

/* rsp points at a return address, and so does where each frame ends. What the sandbox asks for is where rsp is to be
 * and where to go on: good if the frame that would end there is one of those that have not returned. */
bool tmebox_longjmp(struct activation *activation, uint64_t offset, uint64_t address) {
    const struct instance *instance = activation->instance;
    int64_t depth = tmebox_depth_at(address);
    uint64_t base = instance->control_base, top = base + instance->control->top;
    uint64_t wanted = base + (uint32_t)offset + (uint64_t)depth;
    if (depth < 0 || offset % 8 != 0) {
        return false;
    }
    struct walked *walked = last_walks(activation->thread);
    size_t frames = 0;
    for (uint64_t place = activation->rsp; place >= base && place <= top - 8; frames++) {
        uint64_t word; /* perhaps at an odd address: a frame may have any number of bytes */
        memcpy(&word, (const void *)(uintptr_t)place, sizeof word);
        int64_t frame = depth_in_walk(walked, word, frames);
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
