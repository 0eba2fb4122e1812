/* Behind the memory controller: cipher text, MACs, the TD bit, poison, and the notes of what happens. */
#include "tme/machine.h"

#include <string.h>

void tmebox_tme_note(struct tme_machine *machine, enum tme_event_kind kind, uint32_t key_id, uint64_t line) {
    machine->counters[kind]++;
    if (machine->room != 0) {
        machine->events[machine->number & (machine->room - 1)] =
            (struct tme_event){machine->number, line * TME_LINE, key_id, kind};
    }
    machine->number++;
}

/* The exclusion range is plain text for KeyID 0 only. */
static bool is_plain(const struct tme_machine *machine, uint32_t key_id, uint64_t line) {
    bool excluded = machine->excluding && key_id == 0 &&
                    ((line * TME_LINE ^ machine->exclude_base) & machine->exclude_mask) == 0;
    return excluded || !machine->keys[key_id].encrypted;
}

enum tme_outcome tmebox_tme_load(struct tme_machine *machine, uint32_t key_id, uint64_t line, uint8_t *data) {
    const struct tme_key *key = &machine->keys[key_id];
    const uint8_t *cipher = machine->dram + line * TME_LINE;
    uint32_t side = machine->side[line];
    bool private = key_id >= machine->first_private;
    if (side & TME_SIDE_POISON) {
        tmebox_tme_note(machine, TME_POISON_USED, key_id, line);
        memset(data, 0, TME_LINE);
        return TME_POISON;
    }
    if (!private && side & TME_SIDE_TD) {
        tmebox_tme_note(machine, TME_TD_HIDDEN, key_id, line);
        memset(data, 0, TME_LINE);
        return TME_DONE;
    }
    if (is_plain(machine, key_id, line)) {
        tmebox_tme_note(machine, TME_PLAIN_LOAD, key_id, line);
        memcpy(data, cipher, TME_LINE);
    } else {
        uint32_t mac = side & TME_SIDE_MAC, td = (side & TME_SIDE_TD) != 0;
        tmebox_tme_note(machine, TME_DECRYPT, key_id, line);
        uint64_t wrong = tmebox_tme_open(machine->path, key, machine->mac_key, td, line * TME_LINE, 1, cipher, &mac,
                                         machine->mac_mask, data);
        if (key->integrity && (!private || td != 0)) {
            tmebox_tme_note(machine, wrong ? TME_MAC_MISMATCH : TME_MAC_MATCH, key_id, line);
        }
        if (wrong && (!private || td != 0)) {
            return TME_INTEGRITY;
        }
    }
    if (private && !(side & TME_SIDE_TD)) {
        tmebox_tme_note(machine, TME_TD_WRONG, key_id, line);
        return TME_TD_MISMATCH;
    }
    return TME_DONE;
}

bool tmebox_tme_verifies(const struct tme_machine *machine, uint32_t key_id, uint64_t line) {
    const struct tme_key *key = &machine->keys[key_id];
    uint8_t data[TME_LINE];
    uint32_t side = machine->side[line], mac = side & TME_SIDE_MAC, td = (side & TME_SIDE_TD) != 0;
    if (side & TME_SIDE_POISON || !key->integrity || is_plain(machine, key_id, line) ||
        td != (key_id >= machine->first_private)) {
        return false;
    }
    return tmebox_tme_open(machine->path, key, machine->mac_key, td, line * TME_LINE, 1,
                           machine->dram + line * TME_LINE, &mac, machine->mac_mask, data) == 0;
}

void tmebox_tme_store(struct tme_machine *machine, uint32_t key_id, uint64_t line, const uint8_t *data) {
    uint8_t *cipher = machine->dram + line * TME_LINE;
    uint32_t mac = 0, td = key_id >= machine->first_private;
    if (machine->side[line] & TME_SIDE_POISON) {
        tmebox_tme_note(machine, TME_POISON_CLEARED, key_id, line);
    }
    if (is_plain(machine, key_id, line)) {
        tmebox_tme_note(machine, TME_PLAIN_STORE, key_id, line);
        memcpy(cipher, data, TME_LINE);
    } else {
        tmebox_tme_note(machine, TME_ENCRYPT, key_id, line);
        tmebox_tme_seal(machine->path, &machine->keys[key_id], machine->mac_key, td, line * TME_LINE, 1, data, cipher,
                        &mac);
    }
    machine->side[line] = (mac & machine->mac_mask) | (td ? TME_SIDE_TD : 0);
}

void tmebox_tme_poison(struct tme_machine *machine, uint32_t key_id, uint64_t line) {
    tmebox_tme_note(machine, TME_POISON_SET, key_id, line);
    machine->side[line] |= TME_SIDE_POISON;
}
