/* Loops that wait for what they loaded: lists, trees, state tables, checksums; with few registers and with many. */
#include "libc.h"

typedef struct node {
    struct node *next, *child[2];
    u64 value;
} node;

static node nodes[257];
static u32 table[256];
static u8 states[16][256];
static unsigned short successors[65536];

__attribute__((noinline)) static u64 chased(const node *at, u64 steps) {
    u64 hash = 1;
    while (steps-- && at) {
        hash = mix(hash, at->value);
        at = at->next;
    }
    return hash;
}

__attribute__((noinline)) static const node *last(const node *at) {
    while (at->next) at = at->next;
    return at;
}

__attribute__((noinline)) static u64 found(const node *at, u64 value) {
    u64 depth = 0;
    while (at && at->value != value) {
        at = at->child[at->value < value];
        depth++;
    }
    return depth * 2 + (at != 0);
}

__attribute__((noinline)) static u32 checksum(const u8 *bytes, u64 count) {
    u32 sum = ~0u;
    for (u64 i = 0; i < count; i++) sum = table[(sum ^ bytes[i]) & 255] ^ sum >> 8;
    return ~sum;
}

__attribute__((noinline)) static u32 top(u32 sum, u64 count) {
    for (u64 i = 0; i < count; i++) sum = table[sum >> 24] ^ sum << 8;
    return sum;
}

__attribute__((noinline)) static u32 ran(const u8 *bytes, u64 count) {
    u32 state = 0;
    for (u64 i = 0; i < count; i++) state = states[state][bytes[i]];
    return state;
}

__attribute__((noinline)) static u32 walked(u32 at, u64 count) {
    for (u64 i = 0; i < count; i++) at = successors[at & 0xffff] + (at >> 16);
    return at;
}

/* Many values live at once, so that few registers are free. */
__attribute__((noinline)) static u64 crowded(const node *a, const node *b, const node *c, u64 n) {
    u64 p = 1, q = 2, r = 3, s = 4, t = 5, u = 6, v = 7;
    for (u64 i = 0; i < n; i++) {
        p += a->value ^ v, q ^= b->value + p, r += c->value ^ q, s ^= r + i, t += s ^ p, u ^= t + q, v += u ^ r;
        a = a->next ? a->next : nodes;
        b = b->child[q & 1] ? b->child[q & 1] : nodes;
        c = c->next ? c->next->child[0] ? c->next->child[0] : nodes : nodes;
    }
    return p + q * 3 + r * 5 + s * 7 + t * 11 + u * 13 + v * 17;
}

u64 run(void) {
    u64 hash = 0;
    for (u32 i = 0; i < 256; i++) {
        table[i] = i * 0x9e3779b1u ^ i << 7;
        for (u32 state = 0; state < 16; state++) states[state][i] = (state * 5 + i * 3 + (i >> 4)) & 15;
    }
    for (u32 i = 0; i < 65536; i++) successors[i] = (unsigned short)(i * 40503u + 77);
    for (u32 i = 0; i < 257; i++) {
        nodes[i].value = i * 2;
        nodes[i].next = i < 256 ? &nodes[i * 37 % 256 + 1] : 0;
    }
    for (u32 size = 128, first = 128; size; first = size /= 2)
        for (u32 i = first; i < 256; i += 2 * size) {
            nodes[i].child[0] = size > 1 ? &nodes[i - size / 2] : 0;
            nodes[i].child[1] = size > 1 ? &nodes[i + size / 2] : 0;
        }
    hash = mix(hash, chased(nodes, 1000));
    for (u32 i = 0; i < 256; i++) nodes[i].next = &nodes[i + 1];
    hash = mix(hash, (u64)(last(nodes) - nodes));
    for (u32 i = 0; i < 520; i++) hash = mix(hash, found(&nodes[128], i));
    hash = mix(hash, checksum((const u8 *)table, sizeof table));
    hash = mix(hash, top(0x12345678, 999));
    hash = mix(hash, ran((const u8 *)table, sizeof table));
    hash = mix(hash, walked(0xabcdef, 5000));
    hash = mix(hash, crowded(nodes, &nodes[128], &nodes[5], 3000));
    return hash;
}
