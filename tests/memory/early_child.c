/* Loaded before the core: in a forked child it runs first, and maps and fills memory, much and little. */
#include <pthread.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>

unsigned char *early[2];
size_t early_size[2] = {40 << 20, 1 << 20};

static void in_child(void)
{
    for (int i = 0; i < 2; i++) {
        early[i] = mmap(NULL, early_size[i], PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        memset(early[i], 0x5a, early_size[i]);
    }
}

__attribute__((constructor)) static void begin(void)
{
    pthread_atfork(NULL, NULL, in_child);
}
