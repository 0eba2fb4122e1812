/* A ring of messages in a block that two sandboxes share: one writes it, the other reads it. */

#define SLOTS 64
#define SLOT_BYTES 4096

struct ring {
    volatile unsigned long written, read;
    unsigned char padding[4080];
    unsigned char slots[SLOTS][SLOT_BYTES];
};

unsigned long ring_bytes(void)
{
    return sizeof(struct ring);
}

/* How many of the messages found room. */
long send(struct ring *ring, const unsigned char *message, unsigned long size, long count)
{
    long sent = 0;
    for (; sent < count && ring->written - ring->read < SLOTS && size <= SLOT_BYTES; sent++) {
        unsigned char *slot = ring->slots[ring->written % SLOTS];
        for (unsigned long i = 0; i < size; i++)
            slot[i] = message[i];
        __atomic_store_n(&ring->written, ring->written + 1, __ATOMIC_RELEASE);
    }
    return sent;
}

/* The sum of all bytes that have come. */
unsigned long receive(struct ring *ring, unsigned long size)
{
    unsigned long sum = 0;
    while (ring->read < __atomic_load_n(&ring->written, __ATOMIC_ACQUIRE)) {
        const unsigned char *slot = ring->slots[ring->read % SLOTS];
        for (unsigned long i = 0; i < size; i++)
            sum += slot[i];
        __atomic_store_n(&ring->read, ring->read + 1, __ATOMIC_RELEASE);
    }
    return sum;
}
