/* The window and its islands, and where the instruction stands. */
#pragma once
#include "processor_forms.h"
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

static const u64 CODE = 0x50000000, WINDOW_SIZE = 1ull << 32, REACH = 512 << 10, MAP = MAP_DISPLACEMENT;
static const u64 BASE = 0x200000000000, WHOLE = 0x300000000000; /* fixed, so that a seed says everything */
static const u64 CONTROL = CONTROL_OFFSET;
static u64 window;

struct island { u64 address; u32 pages; };
enum { GENERAL, PRIVATE, LAST, FIRST, CONTROL_ISLAND, MIDDLE, MAP_ISLAND, ISLANDS, FILE_PAGES = 9 };
static struct island islands[ISLANDS];
static u8 *all, pristine[FILE_PAGES * PAGE], *code_alias;

static void die(const char *what) {
    ssize_t ignored = write(2, what, strlen(what));
    (void)ignored;
    _exit(3);
}

static void *map(u64 address, size_t size, int protection, int flags, int file, u64 offset) {
    void *found = mmap((void *)address, size, protection, flags, file, offset);
    if (found == MAP_FAILED) die("mmap failed\n");
    return found;
}

static void set_up_memory(void) {
    int file = memfd_create("islands", 0), text = memfd_create("text", 0);
    if (file < 0 || text < 0 || ftruncate(file, sizeof pristine) || ftruncate(text, PAGE)) die("memfd failed\n");
    int reserve = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE;
    map(BASE - 2 * WINDOW_SIZE, 6 * WINDOW_SIZE, PROT_NONE, reserve, -1, 0);
    window = BASE;
    const struct island places[ISLANDS] = {
        [GENERAL] = {window + 0x200000, 2}, [PRIVATE] = {window + 0x30000000, 2}, [LAST] = {window + 0xfffff000, 1},
        [FIRST] = {window, 1}, [CONTROL_ISLAND] = {window + (CONTROL & -PAGE), 1},
        [MIDDLE] = {window + 0x7ffff000, 1}, [MAP_ISLAND] = {MAP + CODE, 1},
    };
    u64 offset = 0;
    for (int i = 0; i < ISLANDS; i++) {
        islands[i] = places[i];
        int placed = i == MAP_ISLAND ? MAP_FIXED_NOREPLACE : MAP_FIXED;
        map(places[i].address, places[i].pages * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | placed, file, offset);
        offset += places[i].pages * PAGE;
    }
    all = map(WHOLE, sizeof pristine, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED_NOREPLACE, file, 0);
    map(CODE, PAGE, PROT_READ | PROT_EXEC, MAP_SHARED | MAP_FIXED_NOREPLACE, text, 0);
    code_alias = map(0, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, text, 0);
    if (syscall(SYS_arch_prctl, SET_GS, window)) die("arch_prctl failed\n");
}

/* Where an address is in the file that holds the islands; -1 if it is in none. */
static int64_t place_of(u64 address) {
    int64_t offset = 0;
    for (int i = 0; i < ISLANDS; i++) {
        u64 size = islands[i].pages * PAGE;
        if (address - islands[i].address < size) return offset + (int64_t)(address - islands[i].address);
        offset += (int64_t)size;
    }
    return -1;
}
