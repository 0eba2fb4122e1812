/* The guest as an ordinary program, to compare with: runs one file, prints what it prints and how it ends.
   Addresses that cross are 32 bits wide, so heap and mailbox are below 4 GiB. */
#define _GNU_SOURCE
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include "wire.h"

int python_start(unsigned heap_bytes, unsigned stack, unsigned mailbox);
int python_do(unsigned mailbox, unsigned operation, unsigned offset, unsigned size);

static unsigned char *mailbox;

void *low_malloc(size_t size) {
    void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);
    return memory == MAP_FAILED ? NULL : memory;
}

static void flush(void) {
    uint32_t size;
    memcpy(&size, mailbox + WIRE_PRINTED, 4);
    fwrite(mailbox + WIRE_OUTPUT, 1, size, stdout);
    memset(mailbox + WIRE_PRINTED, 0, 4);
}

uint64_t python_host(unsigned operation) {
    if (operation == WIRE_HOST_PRINT) {
        flush();
    } else if (operation == WIRE_HOST_SEED) {
        memset(mailbox + WIRE_SEED, 7, 8);
    }
    return 0;
}

int main(int argc, char **argv) {
    static unsigned char source[1 << 20];
    FILE *file = fopen(argv[argc - 1], "rb");
    uint32_t size = file ? fread(source, 1, sizeof source, file) : 0, name = 8, two = 2;
    mailbox = low_malloc(WIRE_MAILBOX_SIZE);
    if (!file || python_start(31 << 20, 1 << 20, (uintptr_t)mailbox)) {
        return 2;
    }
    unsigned char *request = low_malloc(size + 64), *at = request;
    *at++ = WIRE_TUPLE; memcpy(at, &two, 4); at += 4;
    *at++ = WIRE_STR; memcpy(at, &size, 4); at += 4; memcpy(at, source, size); at += size;
    *at++ = WIRE_STR; memcpy(at, &name, 4); at += 4; memcpy(at, "<python>", name); at += name;
    int64_t most = INT64_MAX;
    uint64_t now = 1000000000ull * 1000000000ull;
    memset(mailbox + WIRE_FAKE_CLOCK, 1, 1);
    memcpy(mailbox + WIRE_CLOCK, &now, 8);
    memcpy(mailbox + WIRE_INSTRUCTIONS_LEFT, &most, 8);
    memcpy(mailbox + WIRE_OUTPUT_LEFT, &most, 8);
    int status = python_do((uintptr_t)mailbox, WIRE_RUN, (uintptr_t)request, at - request);
    flush();
    if (status == WIRE_RAISED) { /* the type's name: the first text of a tuple */
        uint32_t result, length;
        memcpy(&result, mailbox + WIRE_RESULT, 4);
        unsigned char *type = (unsigned char *)(uintptr_t)result + 6;
        memcpy(&length, type, 4);
        printf("ended in %.*s\n", (int)length, type + 4);
    }
    return 0;
}
