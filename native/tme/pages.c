/* Many lines of a machine's DRAM at once, past the caches: for memory that is lent out page by page. The same rules as for single
 * lines, in native/tme/dram.c; nothing is noted or poisoned, and the caller sees to it that no cache holds the lines. */
#include "tme/machine.h"

#include <string.h>

#define AT_ONCE 64

static bool excluded(const struct tme_machine *machine, uint32_t key_id, uint64_t line) {
    return machine->excluding && key_id == 0 &&
           ((line * TME_LINE ^ machine->exclude_base) & machine->exclude_mask) == 0;
}

uint64_t tmebox_tme_load_lines(const struct tme_machine *machine, uint32_t key_id, uint64_t line, size_t count,
                               uint8_t *plain) {
    const struct tme_key *key = &machine->keys[key_id];
    const uint8_t *cipher = machine->dram + line * TME_LINE;
    const uint32_t *side = machine->side + line;
    uint32_t macs[AT_ONCE] = {0}, private = key_id >= machine->first_private;
    for (size_t i = 0; i < count; i++) {
        macs[i] = side[i] & TME_SIDE_MAC;
    }
    uint64_t wrong = tmebox_tme_open(machine->path, key, machine->mac_key, private, line * TME_LINE, count, cipher, macs,
                                     machine->mac_mask, plain);
    for (size_t i = 0; i < count; i++) {
        uint64_t bit = 1ULL << i;
        bool td = (side[i] & TME_SIDE_TD) != 0;
        if (side[i] & TME_SIDE_POISON || (private && !td)) {
            wrong |= bit;
        } else if (td && !private) { /* hidden: zeros, and no error */
            memset(plain + TME_LINE * i, 0, TME_LINE);
            wrong &= ~bit;
        } else if (excluded(machine, key_id, line + i)) {
            memcpy(plain + TME_LINE * i, cipher + TME_LINE * i, TME_LINE);
            wrong &= ~bit;
        }
        if (wrong & bit) {
            memset(plain + TME_LINE * i, 0, TME_LINE);
        }
    }
    return wrong;
}

void tmebox_tme_cipher_of(const struct tme_machine *machine, uint32_t key_id, uint64_t line, size_t count,
                          const uint8_t *plain, uint8_t *cipher, uint32_t *macs) {
    tmebox_tme_seal(machine->path, &machine->keys[key_id], machine->mac_key, key_id >= machine->first_private,
                    line * TME_LINE, count, plain, cipher, macs);
    for (size_t i = 0; i < count; i++) {
        if (excluded(machine, key_id, line + i)) {
            memcpy(cipher + TME_LINE * i, plain + TME_LINE * i, TME_LINE);
            macs[i] = 0;
        }
    }
}

void tmebox_tme_store_lines(struct tme_machine *machine, uint32_t key_id, uint64_t line, size_t count,
                            const uint8_t *plain) {
    uint32_t macs[AT_ONCE], td = key_id >= machine->first_private;
    tmebox_tme_cipher_of(machine, key_id, line, count, plain, machine->dram + line * TME_LINE, macs);
    for (size_t i = 0; i < count; i++) {
        machine->side[line + i] = (macs[i] & machine->mac_mask) | (td ? TME_SIDE_TD : 0);
    }
}
