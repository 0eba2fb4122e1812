/* One call that runs through every kind of sequence: checked returns and calls, jumps through tables, a stack
 * of variable size, string instructions, borrowed bases, host calls. */
#include <string.h>

int hop(int value);

struct node {
    struct node *next;
    int value;
};

static struct node nodes[4];
static char source[64] = "what is copied";
static char copy[64];
static volatile int calls;

static int twice(int value) { return 2 * value; }
static int plus(int value) { return value + 3; }
static int (*const volatile operations[2])(int) = {twice, plus};

__attribute__((noinline)) static int choose(int value) {
    switch (value & 7) {
    case 0: return twice(calls);
    case 1: return calls + 11;
    case 2: return calls * 7;
    case 3: return calls ^ 5;
    case 4: return calls - 9;
    case 5: return calls | 64;
    default: return calls / 3;
    }
}

__attribute__((noinline)) static int through_label(int value) {
    static void *const labels[3] = {&&first, &&second, &&third};
    goto *labels[value % 3];
first:
    return 1;
second:
    return 2;
third:
    return 3;
}

__attribute__((noinline)) static int spread(int size) {
    char room[size];
    memset(room, size, sizeof room);
    __asm__ volatile("" : : "r"(room) : "memory");
    return room[size / 2];
}

__attribute__((noinline)) static void move(char *to, const char *from, unsigned long size) {
    __asm__ volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(size) : : "memory");
}

int victim(int round) {
    int sum = 0;
    calls = 12;
    for (int i = 0; i < 4; i++) {
        nodes[i].next = i < 3 ? &nodes[i + 1] : 0;
        nodes[i].value = i + round;
    }
    for (struct node *node = nodes; node; node = node->next) {
        sum += node->value;
    }
    for (int i = 0; i < 2; i++) {
        sum += operations[i](sum);
    }
    sum += choose(round) + through_label(round) + spread(40);
    move(copy, source, sizeof copy);
    sum += hop(sum & 15);
    return sum + copy[0];
}

/* What a handler would do, if it could come in: everything on the stack is this value afterwards. */
void scribble(unsigned long value, int words) {
    volatile unsigned long *from = (unsigned long *)__builtin_frame_address(0);
    for (int i = 1; i < words; i++) {
        from[-i - 64] = value;
        from[i] = value;
    }
}
