/* What a SIGBUS costs whose handler does nothing but skip the instruction: a page of shared memory that is registered with
 * userfaultfd, and not there, as in a shared heap's view. Prints nanoseconds of CPU time for a read and for a write. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

#define PAGE 4096
#define TIMES 20000
#define ROUNDS 9

extern char read_at[], read_end[], write_at[], write_end[];

static void skip(int number, siginfo_t *info, void *context) {
    (void)number, (void)info;
    greg_t *rip = &((ucontext_t *)context)->uc_mcontext.gregs[REG_RIP];
    *rip = *rip == (greg_t)read_at ? (greg_t)read_end : (greg_t)write_end;
}

__attribute__((noinline)) static void reading(volatile char *page) {
    for (int i = 0; i < TIMES; i++) {
        __asm__ volatile("read_at: movb (%0), %%al\nread_end:" : : "r"(page) : "al", "memory");
    }
}

__attribute__((noinline)) static void writing(volatile char *page) {
    for (int i = 0; i < TIMES; i++) {
        __asm__ volatile("write_at: movb %%al, (%0)\nwrite_end:" : : "r"(page) : "memory");
    }
}

static char *page_that_is_not_there(void) {
    int file = memfd_create("sigbus", MFD_CLOEXEC);
    if (file < 0 || ftruncate(file, PAGE) < 0) {
        return NULL;
    }
    char *there = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    char *view = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    if (there == MAP_FAILED || view == MAP_FAILED) {
        return NULL;
    }
    there[0] = 1;
    int faults = (int)syscall(SYS_userfaultfd, O_CLOEXEC | UFFD_USER_MODE_ONLY);
    struct uffdio_api api = {.api = UFFD_API,
                             .features = UFFD_FEATURE_SIGBUS | UFFD_FEATURE_MISSING_SHMEM | UFFD_FEATURE_MINOR_SHMEM};
    struct uffdio_register range = {.range = {(unsigned long)view, PAGE},
                                    .mode = UFFDIO_REGISTER_MODE_MISSING | UFFDIO_REGISTER_MODE_MINOR};
    return faults >= 0 && ioctl(faults, UFFDIO_API, &api) == 0 && ioctl(faults, UFFDIO_REGISTER, &range) == 0 ? view : NULL;
}

static double now(void) {
    struct timespec at;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &at);
    return (double)at.tv_sec * 1e9 + (double)at.tv_nsec;
}

int main(void) {
    char *page = page_that_is_not_there(), *other = malloc(1 << 16);
    struct sigaction action = {.sa_sigaction = skip, .sa_flags = SA_SIGINFO | SA_ONSTACK};
    sigfillset(&action.sa_mask);
    if (page == NULL || other == NULL || sigaltstack(&(stack_t){.ss_sp = other, .ss_size = 1 << 16}, NULL) < 0 ||
        sigaction(SIGBUS, &action, NULL) < 0) {
        perror("userfaultfd");
        return 1;
    }
    for (int round = 0; round < ROUNDS; round++) {
        double start = now();
        reading(page);
        double middle = now();
        writing(page);
        printf("%f %f\n", (middle - start) / TIMES, (now() - middle) / TIMES);
    }
    return 0;
}
