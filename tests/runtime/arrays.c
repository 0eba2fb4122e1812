/* Arrays of any size on the stack, and frames larger than any can be: apart from large.c, since a file that has any keeps
   other variables beside them. */
#include <alloca.h>

int touch(volatile char *first, unsigned long size);

int on_stack(unsigned long size) { return touch(alloca(size), size); }
int vla(unsigned long size) {
    volatile char all[size];
    return touch(all, size);
}

#define FRAME(mib)                              \
    int frame_##mib(void) {                     \
        volatile char all[(unsigned long)mib << 20]; \
        return touch(all, sizeof all);          \
    }
FRAME(70) FRAME(300) FRAME(900)
