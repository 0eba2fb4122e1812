/* Clocks told in registers, by the kernel's own function for them, which needs no system call. No vector register is
 * touched here, nor there: those of the sandbox's stay, and need be neither kept nor cleared. What the function might
 * leave in one anyway is of the time. */
#include "enter/activation.h"
#include "enter/datapath.h"

#include <dlfcn.h>
#include <sys/syscall.h>

int tmebox_answer_clock(struct activation *activation);

typedef int tell_time(clockid_t clock, struct timespec *now);

static tell_time *kernels; /* NULL: none, and tmebox_answer tells the time */

void tmebox_find_clock(void) {
    void *vdso = dlopen("linux-vdso.so.1", RTLD_LAZY | RTLD_NOLOAD);
    kernels = vdso == NULL ? NULL : (tell_time *)dlsym(vdso, "__vdso_clock_gettime");
}

/* Whether it is answered. If not, nothing has happened. */
__attribute__((target("general-regs-only"))) int tmebox_answer_clock(struct activation *activation) {
    const struct instance *instance = activation->instance;
    struct guest_descriptors *running = instance->running;
    uint64_t clock = activation->integers[1];
    struct timespec now;
    if (kernels == NULL || running == NULL || activation->index >= instance->import_count ||
        !instance->imports[activation->index].system || !GUEST_IS_TOLD(running, clock) ||
        kernels((clockid_t)clock, &now) != 0) {
        return 0;
    }
    if (running->counts != NULL) {
        running->counts[SYS_clock_gettime]++;
    }
    activation->rax = (uint64_t)now.tv_sec;
    activation->rdx = (uint64_t)now.tv_nsec;
    return 1;
}
