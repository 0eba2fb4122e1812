/* Exports and imports of many kinds, for files that are bent. */
struct point {
    int x, y;
    double weight;
};

struct packet {
    unsigned char kind;
    struct point where[2];
    const char *name;
};

int notify(int code, const char *text);

static int calls = 3;
static unsigned char heap[5000] = {1, 2, 3};

int add(int a, int b) { return a + b; }
double scale(double x, float y) { return x * y; }
struct point shift(struct point p, int by) {
    p.x += by;
    p.weight /= 2;
    return p;
}
int total(const int *values, int count) {
    int sum = 0;
    for (int i = 0; i < count; i++) {
        sum += values[i];
    }
    return sum;
}
int describe(struct packet *packet) { return packet->kind + packet->where[1].y; }
int tell(int code) { return notify(code, "told") + calls++; }
unsigned char *room(unsigned size) { return heap + size % sizeof heap; }
int pick(int i) {
    switch (i) {
    case 0: return 4;
    case 1: return 1;
    case 2: return 9;
    case 3: return 16;
    case 4: return tell(i);
    default: return -1;
    }
}
void fail(void) { *(volatile int *)0 = 1; }
