/* Programs on a stack above the arena: threads, jumps, files, large frames, calls of the host's that call again. */
#include <pthread.h>
#include <setjmp.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct big { long v[20]; };

__attribute__((noinline)) long depth(unsigned long times) {
    volatile char frame[1000];
    frame[0] = 1;
    frame[sizeof frame - 1] = 2;
    return times != 0 ? depth(times - 1) + frame[0] : 0;
}

unsigned long local(void) {
    volatile unsigned long here = (unsigned long)&here;
    return here;
}

static void *deep(void *times) { return (void *)(depth((unsigned long)times) + (local() >> 31 << 62)); }

/* The sum of what so many threads that recurse return, less than 0: not all of them came to be. */
long threads(int count, unsigned long times, unsigned long stack) {
    pthread_t all[32];
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, stack);
    long sum = 0;
    int made = 0;
    while (made < count && pthread_create(&all[made], &attributes, deep, (void *)times) == 0) made++;
    for (int i = 0; i < made; i++) {
        void *result;
        pthread_join(all[i], &result);
        sum += (long)result & 0xffffff;
    }
    return made == count ? sum : -made;
}

/* A thread on a stack that the program chose; its error. */
int thread_at(unsigned long place, unsigned long size) {
    pthread_t thread;
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setstack(&attributes, (void *)place, size);
    int error = pthread_create(&thread, &attributes, deep, (void *)3);
    return error ? error : pthread_join(thread, NULL);
}

static jmp_buf home;
__attribute__((noinline)) static void down(int times) {
    volatile char all[100000];
    all[sizeof all - 1] = 1;
    if (times == 0) longjmp(home, 7);
    down(times - 1);
}
int jumps(int times) {
    int came = setjmp(home);
    if (came == 0) down(times);
    return came;
}

/* A pipe into a buffer on the stack. */
int reads(void) {
    int ends[2];
    char here[64] = "";
    if (pipe(ends) || write(ends[1], "through a pipe", 15) != 15 || read(ends[0], here, sizeof here) != 15) return -1;
    close(ends[0]);
    close(ends[1]);
    return strcmp(here, "through a pipe");
}

extern struct big host(struct big given, int again);
long calls(struct big given, int again) {
    struct big result = host(given, again);
    long sum = 0;
    for (int i = 0; i < 20; i++) sum += result.v[i];
    return sum;
}

unsigned long take(unsigned long size) { return (unsigned long)malloc(size); }
static int kept;
void keep(int value) { kept = value; }
int get(void) { return kept; }
