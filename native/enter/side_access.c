/* What an instruction accesses in the state that its sandbox is in: computed as the CPU does it. */
#include "enter/side.h"

#include <cpuid.h>
#include <string.h>

#define RCX 1
#define RSI 6
#define RDI 7

const uint8_t tmebox_side_registers[SIDE_REGISTERS] = {
    REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_RSP, REG_RBP, REG_RSI, REG_RDI,
    REG_R8,  REG_R9,  REG_R10, REG_R11, REG_R12, REG_R13, REG_R14, REG_R15,
};

/* Where the operand is, as an offset in the window; false: outside. */
static bool offset_of_operand(const struct side_shape *shape, const ucontext_t *context, uint64_t window_base,
                              uint32_t *offset) {
    uint64_t address = (uint64_t)(int64_t)shape->displacement;
    if (shape->base == SIDE_RIP) {
        address += (uint64_t)context->uc_mcontext.gregs[REG_RIP] + shape->length;
    } else if (shape->base != SIDE_NONE) {
        address += tmebox_side_register(context, shape->base);
    }
    if (shape->index != SIDE_NONE) {
        address += tmebox_side_register(context, shape->index) * shape->scale;
    }
    if (shape->flags & SIDE_ADDRESS_SHORT) {
        address = (uint32_t)address;
    }
    if (!(shape->flags & SIDE_ADDRESS_GS)) {
        address -= window_base;
    }
    *offset = (uint32_t)address;
    return address < TMEBOX_WINDOW_SIZE;
}

/* -- masks -------------------------------------------------------------------------------------------- */
#define XMM_IN_STATE 160
#define STATE_HEADER 512 /* of an xsave area: which parts of it are not as at first */
#define STATE_SSE 2
#define STATE_AVX 4

static uint32_t upper_halves(void) {
    static _Atomic uint32_t known;
    uint32_t place = atomic_load_explicit(&known, memory_order_relaxed);
    if (place == 0) {
        uint32_t size, ecx, edx;
        __cpuid_count(0xd, 2, size, place, ecx, edx);
        atomic_store_explicit(&known, place, memory_order_relaxed);
    }
    return place;
}

/* A vector register's bytes, zeros where its state is what it was at first. All set, where nothing is known of them. */
static void vector_of(const ucontext_t *context, uint8_t number, uint8_t bytes[32]) {
    const uint8_t *state = (const uint8_t *)context->uc_mcontext.fpregs;
    uint64_t present;
    if (state == NULL) {
        memset(bytes, 0xff, 32);
        return;
    }
    memcpy(&present, state + STATE_HEADER, sizeof present);
    memset(bytes, 0, 32);
    if (present & STATE_SSE) {
        memcpy(bytes, state + XMM_IN_STATE + 16 * number, 16);
    }
    if (present & STATE_AVX) {
        memcpy(bytes + 16, state + upper_halves() + 16 * number, 16);
    }
}

/* Neighbours among the lanes whose sign bit is set are one access. */
static size_t masked(const struct side_shape *shape, const ucontext_t *context, uint32_t offset,
                     struct side_access *accesses) {
    uint8_t mask[32];
    vector_of(context, shape->mask, mask);
    size_t count = 0;
    bool goes_on = false;
    for (uint32_t at = 0; at < shape->size; at += shape->lane) {
        if (!(mask[at + shape->lane - 1] & 0x80)) {
            goes_on = false;
        } else if (goes_on) {
            accesses[count - 1].size += shape->lane;
        } else {
            accesses[count++] = (struct side_access){offset + at, shape->lane, shape->how};
            goes_on = true;
        }
    }
    return count;
}

uint32_t tmebox_side_unmasked(const struct side_shape *shape, const ucontext_t *context) {
    uint8_t mask[32];
    uint32_t at = 0;
    if (shape->kind == SIDE_MASKED) {
        vector_of(context, shape->mask, mask);
        while (at < shape->size && !(mask[at + shape->lane - 1] & 0x80)) {
            at += shape->lane;
        }
    }
    return at;
}

/* -- strings ------------------------------------------------------------------------------------------ */
static uint64_t elements_in_page(uint32_t offset, uint32_t size) {
    uint64_t whole = (TMEBOX_PAGE_SIZE - offset % TMEBOX_PAGE_SIZE) / size;
    return whole != 0 ? whole : 1; /* one that crosses its end */
}

static size_t of_string(const struct side_shape *shape, const ucontext_t *context, uint64_t window_base,
                        struct side_access *accesses) {
    bool moves = shape->kind == SIDE_MOVE_STRING;
    uint64_t to = tmebox_side_register(context, RDI) - window_base;
    uint64_t from = moves ? tmebox_side_register(context, RSI) - window_base : to;
    uint64_t count = shape->flags & SIDE_REPEATS ? tmebox_side_register(context, RCX) : 1;
    if (to >= TMEBOX_WINDOW_SIZE || from >= TMEBOX_WINDOW_SIZE || count == 0) {
        return 0;
    }
    uint64_t most = elements_in_page((uint32_t)to, shape->size), room = elements_in_page((uint32_t)from, shape->size);
    most = room < most ? room : most;
    count = count < most ? count : most;
    uint32_t size = (uint32_t)count * shape->size;
    if (moves) {
        *accesses++ = (struct side_access){(uint32_t)from, size, SIDE_READS};
    }
    *accesses = (struct side_access){(uint32_t)to, size, SIDE_WRITES};
    return moves ? 2 : 1;
}

bool tmebox_side_cut(const struct side_form *form, struct side_call *call, size_t which, uint32_t size) {
    const struct side_shape *shape = &form->shape;
    if (shape->kind != SIDE_STORE_STRING && shape->kind != SIDE_MOVE_STRING) {
        return size >= call->accesses[which].size;
    }
    uint32_t whole = size / shape->size * shape->size;
    for (size_t i = 0; i < call->count; i++) {
        call->accesses[i].size = call->accesses[i].size < whole ? call->accesses[i].size : whole;
    }
    return whole != 0;
}

/* -- all ---------------------------------------------------------------------------------------------- */
bool tmebox_side_accesses(const struct side_form *form, struct side_call *call) {
    const struct side_shape *shape = &form->shape;
    uint32_t offset;
    if (shape->kind == SIDE_STORE_STRING || shape->kind == SIDE_MOVE_STRING) {
        call->count = of_string(shape, call->context, call->window_base, call->accesses);
    } else if (!offset_of_operand(shape, call->context, call->window_base, &offset)) {
        call->count = 0;
    } else if (shape->kind == SIDE_MASKED) {
        call->count = masked(shape, call->context, offset, call->accesses);
    } else {
        call->accesses[0] = (struct side_access){offset, shape->size, shape->how};
        call->count = 1;
    }
    return call->count != 0;
}
