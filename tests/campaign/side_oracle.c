/* Runs instructions twice on this CPU: on memory that is there, and on the side, with the same memory in no view. Then
 * compares all that they could have changed. Forms come from standard input, what came of them goes to standard output
 * (see side_oracle.py).
 *
 * Everything happens in a signal handler. It returns into the instruction, and is called again by the breakpoint behind
 * it or by a fault. On the side, whatever is not one of the instruction's accesses has other bytes than it had before:
 * what is read or written there would be found. */
#include "side_oracle.h"

#include "threads/signals.h"

#include <errno.h>
#include <sys/syscall.h>
#include <sys/time.h>

_Atomic uint64_t tmebox_texts_gone; /* one goes with each task: the next one's lies in the same place */
static struct task task;
static struct answer answer;
static struct state before, native, aside;
static u8 memory[AREA], stack_memory[STACK_SIZE], native_memory[AREA], native_stack[STACK_SIZE];
static u8 touched[AREA];
static u8 *view; /* one of the two */
static enum { BEGINS, NATIVE, ASIDE } phase;
static int past_end; /* this time the operand reaches beyond the area by one byte */

static void read_all(void *to, size_t size) {
    for (u8 *at = to; size;) {
        ssize_t got = read(0, at, size);
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) _exit(0);
        at += got, size -= (size_t)got;
    }
}

static void note(enum finding finding, u64 value, u64 expected) {
    if (answer.finding) return;
    answer.finding = finding;
    answer.value = value;
    answer.expected = expected;
}

static int is_string(void) {
    return task.shape.kind == SIDE_STORE_STRING || task.shape.kind == SIDE_MOVE_STRING;
}

/* -- what it is run with ------------------------------------------------------------------------------ */
static void aim(u64 target) {
    const struct side_shape *shape = &task.shape;
    u64 *r = before.registers, offset = (u64)(view - (u8 *)WINDOW) + target;
    u64 displacement = (u64)(int64_t)shape->displacement;
    u64 garbage = shape->flags & SIDE_ADDRESS_SHORT ? random64() << 32 : 0;
    if (shape->flags & SIDE_ADDRESS_GS) {
        if (shape->base < 16 && shape->base != shape->index) {
            u64 rest = shape->index < 16 ? r[shape->index] * shape->scale : 0;
            r[shape->base] = (u32)(offset - displacement - rest) | garbage;
        } else if (shape->index < 16) {
            u64 times = shape->scale + (shape->base == shape->index);
            r[shape->index] = (u32)(offset - displacement) / times | garbage;
        }
        return;
    }
    r[shape->base] = WINDOW;
    if (shape->index < 16) r[shape->index] = (offset - displacement) / shape->scale;
}

static void aim_string(void) {
    u64 *r = before.registers;
    u32 size = task.shape.size;
    int heap_to = task.shape.kind == SIDE_STORE_STRING || below(3), heap_from = !heap_to || below(2);
    u64 private_at = below(3) ? below((u32)(STACK_SIZE - 8)) : STACK_SIZE - below(64);
    r[7] = heap_to ? (u64)view + choose_target(size) : (u64)stack + private_at;
    r[6] = heap_from ? (u64)view + choose_target(size) : (u64)stack + private_at;
    if (heap_to && heap_from && below(3)) r[6] = r[7] - 24 + below(48); /* they overlap */
    r[1] = 1 + (below(4) ? below(40) : below(2000));
}

static void choose(void) {
    const struct side_shape *shape = &task.shape;
    fill(memory, AREA);
    fill(stack_memory, STACK_SIZE);
    choose_vectors(&before, (int)task.careless);
    for (int i = 0; i < 16; i++) before.registers[i] = odd_number();
    if (below(2)) before.registers[2] = below(2); /* divisions that do not fault */
    before.registers[RSP] = (u64)stack + 64 + below((u32)STACK_SIZE - 128);
    before.flags = random64() & STATUS;
    view = shape->displacement >= 0 && shape->displacement >> 24 == (int)((VIEW_LOW - WINDOW) >> 24) ? view_low : view_high;
    u64 place = shape->base == SIDE_RIP || below(2) ? PLACE : PAGE - shape->length - 1u;
    before.rip = CODE + place;
    memset(code_alias, 0xcc, PAGE);
    memcpy(code_alias + place, shape->encoding, shape->length);
    int aims = shape->base != SIDE_RIP && shape->base != shape->index && shape->scale <= 1 &&
               (shape->index < 16 || (shape->base < 16 && shape->flags & SIDE_ADDRESS_GS));
    past_end = shape->kind == SIDE_STUB && aims && !below(16);
    u64 target = past_end ? AREA - shape->size + 1 : choose_target(shape->size);
    if (is_string()) aim_string();
    else if (shape->base != SIDE_RIP && (shape->base < 16 || shape->index < 16)) aim(target);
    if (!below(4) && !is_string()) { /* what is compared is often equal */
        u64 at = target + 16 <= AREA ? target : AREA - 16;
        memcpy(memory + at, &before.registers[0], 8);
        memcpy(memory + at + (shape->size == 8 ? 4 : 8), &before.registers[2], 8);
    }
    if (shape->kind == SIDE_CALL || shape->kind == SIDE_JUMP) {
        u64 goal = CODE + PLACE + 64 + below(64);
        for (u64 at = target % 8; at + 8 <= AREA; at += 8) memcpy(memory + at, &goal, 8);
    }
}

static void protect(int protection) {
    if (mprotect(view_low, AREA, protection) || mprotect(view_high, AREA, protection)) die("mprotect failed\n");
}

static void run_natively(ucontext_t *context) {
    choose();
    memcpy(file_pages, memory, AREA);
    memcpy(stack, stack_memory, STACK_SIZE);
    protect(PROT_READ | PROT_WRITE);
    store_state(&before, context);
    phase = NATIVE;
}

static void run_aside(ucontext_t *context) {
    memcpy(file_pages, memory, AREA);
    memcpy(stack, stack_memory, STACK_SIZE);
    memset(touched, 0, AREA);
    protect(PROT_NONE);
    store_state(&before, context);
    phase = ASIDE;
}

/* -- what it did -------------------------------------------------------------------------------------- */
static void compare_states(const struct state *got, const struct state *wanted, int after_fault) {
    for (int i = 0; i < 16; i++)
        if (got->registers[i] != wanted->registers[i]) note(REGISTER, (u64)i, wanted->registers[i]);
    if (got->flags != wanted->flags) note(FLAGS, got->flags, wanted->flags);
    if (got->rip != wanted->rip) note(PLACE_OF_CONTROL, got->rip, wanted->rip);
    for (int i = 0; i < 32; i++)
        if (memcmp(got->vectors[i], wanted->vectors[i], 64)) note(VECTORS, (u64)i, 0);
    if (memcmp(got->masks, wanted->masks, 64)) note(VECTORS, 32, 0);
    if (memcmp(got->x87, wanted->x87, 5)) note(X87, *(u64 *)(void *)got->x87, *(u64 *)(void *)wanted->x87);
    if (memcmp(got->st, wanted->st, 80)) note(X87, 8, 0);
    if (!after_fault && got->mxcsr != wanted->mxcsr) note(CONTROL_OF_VECTORS, got->mxcsr, wanted->mxcsr);
}

/* Bytes that it did not access are what they were made, inverted. */
static void compare_memory(int faulted) {
    for (u64 i = 0; i < AREA; i++) {
        u8 wanted = touched[i] ? (faulted ? memory[i] : native_memory[i]) : (u8)~memory[i];
        if (!touched[i] && !faulted && native_memory[i] != memory[i]) note(OUTSIDE_ITS_ACCESSES, i, native_memory[i]);
        if (file_pages[i] != wanted) note(touched[i] ? MEMORY : OUTSIDE_ITS_ACCESSES, i, wanted);
    }
    if (memcmp(stack, faulted ? stack_memory : native_stack, STACK_SIZE)) note(STACK_MEMORY, 0, 0);
}

static void finish(ucontext_t *context, int signal, const siginfo_t *info) {
    load_state(&aside, context);
    if (signal != native.signal || info->si_code != native.code) note(ANOTHER_SIGNAL, (u64)signal, (u64)native.signal);
    else if (signal == SIGSEGV && (u64)info->si_addr != native.address) note(ANOTHER_SIGNAL, (u64)info->si_addr, native.address);
    compare_states(&aside, &native, signal == SIGFPE);
    for (u64 i = 0; i < AREA; i++) /* without an access nothing was inverted */
        if (!touched[i] && file_pages[i] == memory[i]) file_pages[i] = (u8)~file_pages[i];
    compare_memory(0);
}

static void invert_the_rest(void) {
    for (u64 i = 0; i < AREA; i++)
        if (!touched[i]) file_pages[i] = (u8)~memory[i];
}

/* It ends where memory does, as it should natively. */
static int ends_beyond(ucontext_t *context, struct side_form *form) {
    siginfo_t info = {.si_signo = SIGSEGV, .si_code = SEGV_MAPERR, .si_addr = view + AREA};
    tmebox_side_release(form);
    finish(context, SIGSEGV, &info);
    return 0;
}

/* The instruction of the context is executed on the side. False: it cannot be, or has faulted. */
static int execute(ucontext_t *context) {
    struct side_form *form = tmebox_side_find((u64)context->uc_mcontext.gregs[REG_RIP]);
    struct side_call call = {.context = context, .window_base = WINDOW};
    struct window_fault fault = {0, 0};
    if (form == NULL) {
        note(NOT_FOUND, 0, 0);
        return 0;
    }
    if (!tmebox_side_accesses(form, &call)) note(NO_ACCESSES, 0, 0);
    int surely = tmebox_side_never_faults(form, context); /* if it does all the same, the kernel ends this process */
    for (size_t i = 0; i < call.count; i++)
        surely = surely && WINDOW + call.accesses[i].offset - (u64)view + call.accesses[i].size <= AREA;
    if (!surely) tmebox_let_faults_in();
    for (size_t i = 0; i < call.count; i++) {
        u64 at = WINDOW + call.accesses[i].offset - (u64)view, size = call.accesses[i].size;
        call.pointers[i] = at < AREA ? file_pages + at : (void *)(WINDOW + call.accesses[i].offset);
        if (at < AREA && at + size > AREA) { /* a string may; the rest of it is another page's */
            if (!tmebox_side_cut(form, &call, i, (u32)(AREA - at))) return ends_beyond(context, form);
            size = call.accesses[i].size;
        }
    }
    for (size_t i = 0; i < call.count; i++) {
        u64 at = WINDOW + call.accesses[i].offset - (u64)view;
        if (at >= AREA) continue;
        for (u64 byte = at; byte < at + call.accesses[i].size && byte < AREA; byte++) {
            if (!touched[byte] && file_pages[byte] == (u8)~memory[byte]) file_pages[byte] = memory[byte];
            touched[byte] = 1;
        }
    }
    invert_the_rest();
    enum side_result result = answer.finding ? SIDE_FAULTED : tmebox_side_execute(form, &call, &fault);
    tmebox_side_release(form);
    if (answer.finding) return 0;
    if (result == SIDE_DONE) return 1;
    load_state(&aside, context);
    compare_states(&aside, is_string() ? &native : &before, 0);
    compare_memory(!is_string()); /* a string has stored what came before */
    if (answer.finding) answer.finding = CHANGED_BY_A_FAULT;
    int signal = (int)(fault.how & 0xff), code = (int)(fault.how >> 32);
    if (signal != native.signal || code != native.code) note(ANOTHER_SIGNAL, (u64)signal, (u64)native.signal);
    if (fault.address != native.address) note(ANOTHER_SIGNAL, fault.address, native.address);
    answer.faulted++;
    return 0;
}

/* -- one after the other ------------------------------------------------------------------------------ */
static void next(ucontext_t *context) {
    while (phase == BEGINS || answer.finding || answer.state == task.count) {
        if (phase != BEGINS && write(1, &answer, sizeof answer) != sizeof answer) _exit(0);
        read_all(&task, sizeof task);
        memset(&answer, 0, sizeof answer);
        random_state = task.seed | 1;
        tmebox_texts_gone++;
        setitimer(ITIMER_PROF, &(struct itimerval){{0, 0}, {120, 0}}, NULL); /* of processor time */
        if (tmebox_side_publish(&task.shape)) die("cannot publish\n");
        phase = NATIVE;
    }
    answer.state++;
    run_natively(context);
}

static void handle(int signal, siginfo_t *info, void *opaque) {
    ucontext_t *context = opaque;
    greg_t *g = context->uc_mcontext.gregs;
    u64 resume = tmebox_side_resume((u64)g[REG_RIP]), start = (u64)tmebox_window_begin;
    if (!resume && (u64)g[REG_RIP] - start < (u64)tmebox_window_end - start) resume = (u64)tmebox_window_fault;
    if (resume) {
        int access = g[REG_TRAPNO] != 14 ? -1 : g[REG_ERR] & 2 ? 1 : 0;
        g[REG_RIP] = (greg_t)resume;
        g[REG_RAX] = (greg_t)info->si_addr;
        g[REG_RDX] = (greg_t)((u64)signal | (u64)(access & 0xff) << 8 | (u64)(u32)info->si_code << 32);
        return;
    }
    if (phase == BEGINS) {
        next(context);
    } else if (phase == NATIVE) {
        load_state(&native, context);
        native.signal = signal;
        native.code = info->si_code;
        native.address = (u64)info->si_addr;
        memcpy(native_memory, file_pages, AREA);
        memcpy(native_stack, stack, STACK_SIZE);
        if (past_end) {
            if (signal == SIGTRAP) note(ACCESS_TOO_LARGE, task.shape.size, 0);
            answer.beyond++;
            next(context);
        } else {
            run_aside(context);
        }
    } else if (signal == SIGSEGV && (u64)info->si_addr - (u64)view < AREA) {
        if (execute(context)) answer.aside++;
        else next(context);
    } else {
        answer.untouched += !memchr(touched, 1, AREA);
        finish(context, signal, info);
        next(context);
    }
}

static void *map(void *address, size_t size, int protection, int flags, int file) {
    void *at = mmap(address, size, protection, flags, file, 0);
    if (at == MAP_FAILED || (address && at != address)) die("mmap failed\n");
    return at;
}

int main(void) {
    int file = (int)syscall(SYS_memfd_create, "area", 0), code = (int)syscall(SYS_memfd_create, "code", 0);
    if (file < 0 || code < 0 || ftruncate(file, (off_t)AREA) || ftruncate(code, PAGE)) die("memfd failed\n");
    file_pages = map(NULL, AREA + 2 * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1);
    file_pages = map(file_pages + PAGE, AREA, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, file);
    map(view_low, AREA, PROT_NONE, MAP_SHARED | MAP_FIXED_NOREPLACE, file);
    map(view_high, AREA, PROT_NONE, MAP_SHARED | MAP_FIXED_NOREPLACE, file);
    map(stack, STACK_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1);
    map((void *)CODE, PAGE, PROT_READ | PROT_EXEC, MAP_SHARED | MAP_FIXED_NOREPLACE, code);
    code_alias = map(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, code);
    learn_layout();
    if (syscall(SYS_arch_prctl, 0x1001, WINDOW)) die("no gs base\n");
    stack_t alternate = {.ss_sp = malloc(SIGNAL_STACK), .ss_size = SIGNAL_STACK};
    if (alternate.ss_sp == NULL || sigaltstack(&alternate, 0)) die("sigaltstack failed\n");
    struct sigaction action = {.sa_sigaction = handle, .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER};
    const int signals[] = {SIGTRAP, SIGSEGV, SIGBUS, SIGFPE, SIGILL};
    for (int i = 0; i < 5; i++)
        if (sigaction(signals[i], &action, 0)) die("sigaction failed\n");
    __asm__ volatile("int3");
    return 0;
}
