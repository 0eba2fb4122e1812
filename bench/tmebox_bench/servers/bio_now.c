/* Redis's background jobs, done when they are asked for: a program with one thread has no background. It takes the
 * place of bio.o, by Redis's own make variable, in native and sandboxed builds alike. */
#include "server.h"
#include "bio.h"

void bioInit(void) {}
void bioKillThreads(void) {}

unsigned long long bioPendingJobsOfType(int type) {
    UNUSED(type);
    return 0;
}

unsigned long long bioWaitStepOfType(int type) {
    UNUSED(type);
    return 0;
}

void bioCreateCloseJob(int fd, int need_fsync) {
    if (need_fsync) redis_fsync(fd);
    close(fd);
}

void bioCreateFsyncJob(int fd) {
    redis_fsync(fd);
}

void bioCreateLazyFreeJob(lazy_free_fn free_fn, int arg_count, ...) {
    void *arguments[8];
    va_list list;
    va_start(list, arg_count);
    for (int i = 0; i < arg_count && i < 8; i++) arguments[i] = va_arg(list, void *);
    va_end(list);
    free_fn(arguments);
}
