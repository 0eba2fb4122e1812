/* The few functions that compilers call on their own. */
typedef unsigned long u64;
typedef unsigned int u32;
typedef unsigned char u8;

__attribute__((used, noinline)) static void *copy(void *to, const void *from, u64 n) {
    for (u64 i = 0; i < n; i++) ((volatile u8 *)to)[i] = ((const u8 *)from)[i];
    return to;
}
void *memcpy(void *to, const void *from, u64 n) { return copy(to, from, n); }
void *memset(void *to, int byte, u64 n) {
    for (u64 i = 0; i < n; i++) ((volatile u8 *)to)[i] = (u8)byte;
    return to;
}
static u64 mix(u64 hash, u64 value) { return (hash ^ value) * 0x9e3779b97f4a7c15ul + (hash >> 29); }
