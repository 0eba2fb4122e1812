/* What an instruction did, against what the verifier believes. */
#pragma once
#include "processor_state.h"
#include <signal.h>

static void note(ucontext_t *uc, enum finding finding, u64 value, u64 expected) {
    struct result *r = &results[form_number];
    if (r->finding) return;
    r->finding = finding;
    r->execution = executions;
    r->value = value;
    r->expected = expected;
    memcpy(r->address, address, sizeof address);
    memcpy(r->before, before, sizeof before);
    for (int i = 0; i < 16; i++) r->after[i] = (u64)uc->uc_mcontext.gregs[GREGS[i]];
    r->rip = (u64)uc->uc_mcontext.gregs[REG_RIP];
    r->flags = (u64)uc->uc_mcontext.gregs[REG_EFL];
    u16 control, status;
    memcpy(&r->mxcsr, fx + 24, 4);
    memcpy(&control, fx, 2);
    memcpy(&status, fx + 2, 2);
    r->x87_control = control;
    r->x87_status = status;
    r->x87_tags = fx[4];
}

static enum outcome outcome_of(int signal, const siginfo_t *info) {
    switch (signal) {
    case SIGTRAP: return info->si_code == TRAP_TRACE ? COMPLETED : BREAKPOINT;
    case SIGSEGV: return info->si_code == SI_KERNEL ? PROTECTION : PAGE_FAULT;
    case SIGBUS: return info->si_code == BUS_ADRALN ? ALIGNMENT : PROTECTION;
    case SIGFPE: return ARITHMETIC;
    default: return UNKNOWN_OPCODE;
    }
}

static void check_fault(ucontext_t *uc, const struct form *f, u64 at) {
    int promised = 0, expected = 0;
    for (int i = 0; i < f->accesses; i++) {
        const struct access *a = &f->access[i];
        u64 room = a->kind == WINDOW ? 0 : REACH;
        if (a->kind == STACK) promised |= at - (before[RSP] - REACH - 8) < 2 * REACH + 16 + a->width;
        else if (a->kind == TARGET_BITS) promised |= at - MAP < WINDOW_SIZE;
        else if (a->kind != FLAT) promised |= at - (window - room) < WINDOW_SIZE + 2 * room + a->width;
        else promised = 1; /* what cannot run outside a sequence; its address is known none the less */
        expected |= at - address[i] < a->width;
        if (a->kind == WINDOW && a->flags & SHORT) /* the sum of an operand's parts may wrap in 32 bits */
            expected |= at - (address[i] - WINDOW_SIZE) < a->width;
    }
    if (at - (start + f->length) < 16) note(uc, WRONG_LENGTH, at, start + f->length);
    else if (!promised) note(uc, PROMISE_BROKEN, at, 0);
    else if (!expected) note(uc, FAULT_ELSEWHERE, at, 0);
}

/* Pages are installed as they are touched: what faulted runs again, and finds what it found. */
static void check_restart(ucontext_t *uc) {
    const greg_t *g = uc->uc_mcontext.gregs;
    const u8 *x = xstate(uc);
    for (int i = 0; i < 16; i++)
        if ((u64)g[GREGS[i]] != before[i]) note(uc, NOT_RESTARTABLE, (u64)i, before[i]);
    u64 changed = ((u64)g[REG_EFL] ^ flags_before) & REPORTED;
    if (changed) note(uc, NOT_RESTARTABLE, 16, changed);
    int high = has_avx && memcmp(x + ymm_at, ymm, 256);
    if (high || memcmp(x + 160, fx + 160, 256)) note(uc, NOT_RESTARTABLE, 17, 0);
    for (int i = 0; i < 8; i++)
        if (memcmp(x, fx, 5) || memcmp(x + 32 + 16 * i, fx + 32 + 16 * i, 10)) note(uc, NOT_RESTARTABLE, 18, 0);
}

static int has_memory(u64 at, u32 width) {
    for (u32 i = 0; i < width; i++)
        if (place_of(at + i) >= 0) return 1;
    return 0;
}

static void check_rip(ucontext_t *uc, const struct form *f) {
    u64 rip = (u64)uc->uc_mcontext.gregs[REG_RIP], next = start + f->length, target = start + (u64)f->target;
    if (!(f->flags & BRANCHES)) {
        if (f->flags & ENDS) note(uc, CONTINUES, rip, 0);
        else if (rip != next && !(f->flags & REPEATS && rip == start)) note(uc, WRONG_LENGTH, rip, next);
    } else if (f->flags & DIRECT && rip != target && (rip != next || f->flags & (ENDS | CALLS)))
        note(uc, WRONG_RIP, rip, target);
}

static void check_registers(ucontext_t *uc, const struct form *f) {
    const greg_t *g = uc->uc_mcontext.gregs;
    for (int i = 0; i < 16; i++)
        if ((u64)g[GREGS[i]] != before[i] && !(f->written >> i & 1))
            note(uc, i == RSP ? RSP_CHANGED : REGISTER_CHANGED, (u64)i, before[i]);
    u64 moved = (u64)g[REG_RSP] - before[RSP], back = -moved;
    if (f->flags & HAS_DEPTH) {
        if (back != (u64)f->deepens) note(uc, DEPTH_CHANGED, back, (u64)f->deepens);
    } else if (f->flags & MOVES_RSP) {
        if (moved != 8 && back != 8) note(uc, RSP_CHANGED, moved, 8);
    } else if (!(f->flags & SETS_RSP) && (moved < back ? moved : back) > (u64)f->adjusts)
        note(uc, RSP_CHANGED, moved, (u64)f->adjusts);
    u64 changed = ((u64)g[REG_EFL] ^ flags_before) & REPORTED;
    if (changed & ~(u64)(f->flags_written & STATUS)) note(uc, FLAG_CHANGED, changed, f->flags_written);
    for (int i = 0; i < f->bounds; i++) {
        u64 value = (u64)g[GREGS[f->bound[i].reg]];
        if (value >> f->bound[i].bits) note(uc, BOUND_BROKEN, value, f->bound[i].bits);
    }
}

static void check_vectors(ucontext_t *uc, const struct form *f) {
    const u8 *x = xstate(uc);
    if (!(f->flags & IS_X87)) {
        u64 old, new;
        memcpy(&old, fx, 8);
        memcpy(&new, x, 8);
        if ((old ^ new) & 0xffffffffffull) note(uc, X87_CHANGED, new, old);
        for (int i = 0; i < 8; i++)
            if (memcmp(x + 32 + 16 * i, fx + 32 + 16 * i, 10)) note(uc, X87_CHANGED, (u64)i, 0);
    }
    u32 old, new;
    memcpy(&old, fx + 24, 4);
    memcpy(&new, x + 24, 4);
    if ((old ^ new) & ~0x3fu && !(f->flags & WRITES_MXCSR)) note(uc, MXCSR_CHANGED, new, old);
    for (int i = 0; i < 16; i++) {
        int low = memcmp(x + 160 + 16 * i, fx + 160 + 16 * i, 16);
        int high = has_avx && memcmp(x + ymm_at + 16 * i, ymm + 16 * i, 16);
        int top = has_avx512 && memcmp(x + zmm_high_at + 32 * i, zmm_high + 32 * i, 32);
        if ((low || high || top) && !(f->written_vectors >> i & 1)) note(uc, VECTOR_CHANGED, (u64)i, 0);
        if ((high || top) && !(f->flags & IS_AVX)) note(uc, AVX_CHANGED, (u64)i, 0);
    }
    if (has_avx512 && (memcmp(x + opmask_at, opmask, 64) || memcmp(x + zmm_16_at, zmm_16, 1024)))
        note(uc, AVX512_CHANGED, 0, 0);
}

static void check_effect(ucontext_t *uc, const struct form *f) {
    const greg_t *g = uc->uc_mcontext.gregs;
    u8 reg = f->effect_register & 15;
    u64 memory = 0, after = (u64)g[GREGS[reg]], rip = (u64)g[REG_RIP];
    u32 width = f->accesses ? f->access[0].width : 0;
    int reads = f->effect && f->effect != GOES_TO_REGISTER && f->effect != ADDS_REGISTER;
    if (reads && (width > 8 || !has_memory(address[0], 1))) return note(uc, EFFECT_MISSING, address[0], 0);
    if (reads) memcpy(&memory, (void *)address[0], width);
    u64 is_zero = f->effect == COMPARES ? memory == f->effect_register : !(memory & f->effect_register), zero_flag = (u64)g[REG_EFL] >> 6 & 1;
    switch (f->effect) {
    case LOADS: if (after != memory) note(uc, EFFECT_MISSING, memory, after); break;
    case STORES_REGISTER: if (memory != before[reg]) note(uc, EFFECT_MISSING, memory, before[reg]); break;
    case GOES_TO_MEMORY: if (rip != memory) note(uc, EFFECT_MISSING, memory, rip); break;
    case GOES_TO_REGISTER: if (rip != before[reg]) note(uc, EFFECT_MISSING, rip, before[reg]); break;
    case TESTS: case COMPARES: if (zero_flag != is_zero) note(uc, EFFECT_MISSING, memory, zero_flag); break;
    case ADDS_REGISTER: memory = before[f->effect_register >> 4]; /* fall through */
    case ADDS_MEMORY: if (after != before[reg] + memory) note(uc, EFFECT_MISSING, after, before[reg] + memory);
    }
}

static void check_promises(ucontext_t *uc, const struct form *f) {
    const greg_t *g = uc->uc_mcontext.gregs;
    for (int i = 0; i < f->accesses; i++)
        if (f->access[i].flags & ANCHORS && !has_memory(address[i], f->access[i].width))
            note(uc, ANCHOR_MISSED, address[i], f->access[i].width);
    u64 place = (u64)place_of((u64)g[REG_RSP]), found;
    if (f->flags & CALLS) {
        if ((int64_t)place < 0) return note(uc, NO_RETURN_ADDRESS, 0, 0);
        memcpy(&found, (void *)g[REG_RSP], 8);
        if (found != start + f->length) note(uc, NO_RETURN_ADDRESS, found, start + f->length);
    }
    check_effect(uc, f);
}

static int is_written_otherwise(const struct form *f, u64 at) {
    for (int i = 0; i < f->accesses; i++)
        if (f->access[i].kind != STACK && f->access[i].flags & WRITES && at - address[i] < f->access[i].width) return 1;
    return f->effect == GOES_TO_MEMORY && at - address[0] < 8; /* where `choose_registers` put a target */
}

/* Nothing has changed what is beyond the end of its writes through rsp, where a return address may be. */
static void check_depth(ucontext_t *uc, const struct form *f) {
    u64 from = islands[PRIVATE].address, end = from + islands[PRIVATE].pages * PAGE;
    u64 limit = f->written_up_to == INT64_MIN ? 0 : before[RSP] + (u64)f->written_up_to;
    if (limit >= end) return;
    if (limit > from) from = limit;
    if (!memcmp(all + place_of(from), pristine + place_of(from), end - from)) return;
    for (u64 at = from; at < end; at++)
        if (all[place_of(at)] != pristine[place_of(at)] && !is_written_otherwise(f, at))
            return note(uc, RETURN_ADDRESS_REACHED, at, limit);
}

/* Another access may read what this one writes: `push -8(%rsp)` stores what is there. */
static int is_shared(const struct form *f, int number) {
    for (int i = 0; i < f->accesses; i++)
        if (i != number && address[i] - address[number] + f->access[i].width - 1 <
                               (u64)f->access[i].width + f->access[number].width - 1) return 1;
    return 0;
}

/* Which access is a store that surely happens, and has left memory as `filler` was: -1 for none. */
static int skipped_store(const struct form *f, u8 filler) {
    for (int i = 0; i < f->accesses; i++) {
        u32 width = f->access[i].width, same = 0;
        if (~f->access[i].flags & (ANCHORS | STORES) || is_shared(f, i)) continue;
        for (u32 byte = 0; byte < width; byte++) {
            int64_t place = place_of(address[i] + byte);
            same += place >= 0 && all[place] == (pristine[place] ^ filler);
        }
        if (same == width) return i;
    }
    return -1;
}

/* It may have stored what was there. The same once more tells, with other bytes there. */
static int try_again(ucontext_t *uc, const struct form *f) {
    static int again;
    int skipped = skipped_store(f, again ? 0xff : 0);
    again = !again && skipped >= 0;
    if (skipped >= 0 && !again) note(uc, STORE_SKIPPED, address[skipped], f->access[skipped].width);
    for (u32 byte = 0; again && byte < f->access[skipped].width; byte++)
        all[place_of(address[skipped] + byte)] ^= 0xff;
    if (again) load_state(uc);
    return again;
}

static void restore(u64 at, u32 width) {
    for (u32 byte = 0; byte < width; byte++) {
        int64_t place = place_of(at + byte);
        if (place >= 0) all[place] = pristine[place];
    }
}

/* Put back what it may write; what else it has written stays, and is found by `check_memory`. Parts of an operand
 * at the end of 4 GiB may wrap to its beginning: a Zen 4 does that to the elements of masked stores. */
static void restore_writes(const struct form *f) {
    for (int i = 0; i < f->accesses; i++) {
        const struct access *a = &f->access[i];
        if (!(a->flags & WRITES)) continue;
        restore(address[i], a->width);
        u64 end = address[i] + a->width - (window + WINDOW_SIZE);
        if (a->kind == WINDOW && a->flags & SHORT && end <= a->width) restore(window, (u32)end);
    }
}

/* Some execution since the last look may have been it: then all run again, with a look after each. */
static void check_memory(ucontext_t *uc) {
    if (!memcmp(all, pristine, sizeof pristine)) return;
    u64 at = 0;
    while (all[at] == pristine[at]) at++;
    if (careful) {
        note(uc, WRITE_ELSEWHERE, at, all[at]);
    } else if (!results[form_number].finding) {
        careful = 1;
        memset(&results[form_number], 0, sizeof *results);
        random_state = forms[form_number].seed;
        executions = ~0u;
    }
    memcpy(all, pristine, sizeof pristine);
}

static u64 base_of(int segment) {
    u64 value;
    if (!has_fsgsbase && syscall(SYS_arch_prctl, segment ? GET_GS : GET_FS, &value)) return 0;
    if (!has_fsgsbase) return value;
    if (segment) __asm__ volatile("rdgsbase %0" : "=r"(value));
    else __asm__ volatile("rdfsbase %0" : "=r"(value));
    return value;
}

/* Returns whether the same state runs once more. */
static int check(ucontext_t *uc, int signal, const siginfo_t *info) {
    const struct form *f = &forms[form_number];
    enum outcome outcome = outcome_of(signal, info);
    results[form_number].outcomes[outcome]++;
    u64 rip = (u64)uc->uc_mcontext.gregs[REG_RIP];
    if (outcome == COMPLETED) {
        check_rip(uc, f);
        check_registers(uc, f);
        check_vectors(uc, f);
        if (f->flags & HAS_DEPTH) check_depth(uc, f);
        check_promises(uc, f);
    } else {
        if (outcome == PAGE_FAULT) check_fault(uc, f, (u64)info->si_addr), check_restart(uc);
        if (outcome == UNKNOWN_OPCODE && !(f->flags & ENDS)) note(uc, ILLEGAL, 0, 0);
        if (rip != start && outcome != BREAKPOINT && !(f->flags & BRANCHES)) note(uc, WRONG_RIP, rip, start);
    }
    if (base_of(1) != window || base_of(0) != fs_base) {
        note(uc, SEGMENT_CHANGED, 0, 0);
        syscall(SYS_arch_prctl, SET_GS, window);
        syscall(SYS_arch_prctl, SET_FS, fs_base);
    }
    if (memcmp(&uc->uc_mcontext.gregs[REG_CSGSFS], selectors, 8)) note(uc, SEGMENT_CHANGED, 1, 0);
    if (outcome == COMPLETED && try_again(uc, f)) return 1;
    if (f->effect == GOES_TO_MEMORY) restore(address[0], 8);
    restore_writes(f);
    if (careful || executions % 16 == 0 || executions + 1 >= f->count) check_memory(uc);
    return 0;
}
