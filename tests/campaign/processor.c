/* Runs single instructions on this CPU and compares what they do with what the verifier believes.
 *
 * Everything happens in a signal handler. It changes the interrupted context to a hostile state with the trap
 * flag set, returns into one instruction, and is called again after that instruction, by the trap or a fault.
 * The forms to run come from standard input and the results go to standard output, in batches (see
 * described.py, which holds the same structs).
 *
 * Memory: a window of 4 GiB at gs, nothing around it, and in it a few islands of one or two pages. All islands
 * are pages of one file, which is mapped a second time as a whole, so that one comparison finds every write.
 */
#define _GNU_SOURCE
#include "processor_checks.h"
#include <errno.h>

static void read_all(void *to, size_t size) {
    for (u8 *at = to; size;) {
        ssize_t got = read(0, at, size);
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) _exit(0);
        at += got, size -= (size_t)got;
    }
}

static void write_all(const void *from, size_t size) {
    for (const u8 *at = from; size;) {
        ssize_t put = write(1, at, size);
        if (put < 0 && errno == EINTR) continue;
        if (put <= 0) _exit(0);
        at += put, size -= (size_t)put;
    }
}

static void begin_form(void) {
    while (form_number >= form_count) {
        if (form_count) write_all(results, form_count * sizeof *results);
        read_all(&form_count, sizeof form_count);
        if (form_count > MOST_FORMS) die("too many forms\n");
        read_all(forms, form_count * sizeof *forms);
        memset(results, 0, sizeof results);
        form_number = 0;
        alarm(300);
    }
    executions = 0;
    careful = 0;
    random_state = forms[form_number].seed;
}

static void next(ucontext_t *uc) {
    if (executions >= forms[form_number].count || results[form_number].finding) form_number++, begin_form();
    const struct form *f = &forms[form_number];
    if (executions % 8 == 0) { /* at the end of the page half of the time, so that reading further faults */
        u32 at = below(2) ? (u32)PAGE - f->length : below(PAGE - 64);
        start = CODE + at;
        memcpy(code_alias + at, f->code, f->length);
    }
    choose_fpu();
    choose_registers(f);
    load_state(uc);
}

static void handle(int signal, siginfo_t *info, void *context) {
    __builtin_ia32_writeeflags_u64(__builtin_ia32_readeflags_u64() & ~(u64)ALIGN); /* the kernel leaves it set */
    ucontext_t *uc = context;
    static int running;
    if (running) {
        if (check(uc, signal, info)) return;
        executions++;
    } else {
        memcpy(selectors, &uc->uc_mcontext.gregs[REG_CSGSFS], 8);
        learn_layout(xstate(uc));
        fs_base = base_of(0);
        begin_form();
    }
    running = 1;
    next(uc);
}

int main(void) {
    static u8 stack[1 << 16];
    set_up_memory();
    for (size_t i = 0; i < sizeof pristine; i++) pristine[i] = (u8)random64();
    memcpy(pristine + place_of(window + CONTROL), &window, 8);
    memcpy(all, pristine, sizeof pristine);
    fill(zmm_high, 512), fill(zmm_16, 1024), fill(opmask, 64);
    stack_t alternate = {.ss_sp = stack, .ss_size = sizeof stack};
    struct sigaction action = {.sa_sigaction = handle, .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER};
    if (sigaltstack(&alternate, 0)) die("sigaltstack failed\n");
    const int signals[] = {SIGTRAP, SIGSEGV, SIGBUS, SIGFPE, SIGILL};
    for (int i = 0; i < 5; i++)
        if (sigaction(signals[i], &action, 0)) die("sigaction failed\n");
    __asm__ volatile("int3");
    return 0;
}
