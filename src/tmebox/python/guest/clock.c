/* Clocks and sleep: the host's, or made up where the host wants the same each time. */
#include "py/mphal.h"
#include "py/objmodule.h"
#include "port.h"

/* How far a made-up clock moves when it is looked at, so that loops that wait for a time end. */
#define LOOK_NS 1000

static uint64_t look(unsigned operation) {
    if (tmebox_mailbox->fake_clock) {
        return tmebox_mailbox->clock += LOOK_NS;
    }
    python_host(operation);
    return tmebox_mailbox->clock;
}

static void sleep_ns(uint64_t duration) {
    tmebox_flush();
    if (tmebox_mailbox->fake_clock) {
        tmebox_mailbox->clock += duration;
        return;
    }
    const uint64_t slice = 10 * 1000 * 1000; /* then interrupts and time limits are looked at */
    while (duration > 0) {
        uint64_t now = duration < slice ? duration : slice;
        tmebox_mailbox->clock = now;
        python_host(WIRE_HOST_SLEEP);
        duration -= now;
        tmebox_stop_or_go_on();
    }
}

uint64_t mp_hal_time_ns(void) {
    return look(WIRE_HOST_CLOCK);
}

mp_uint_t mp_hal_ticks_us(void) {
    return look(WIRE_HOST_TICKS) / 1000;
}

mp_uint_t mp_hal_ticks_ms(void) {
    return look(WIRE_HOST_TICKS) / 1000000;
}

mp_uint_t mp_hal_ticks_cpu(void) {
    return look(WIRE_HOST_TICKS);
}

void mp_hal_delay_us(mp_uint_t us) {
    sleep_ns((uint64_t)us * 1000);
}

void mp_hal_delay_ms(mp_uint_t ms) {
    sleep_ns((uint64_t)ms * 1000000);
}

unsigned long tmebox_seed(void) {
    python_host(WIRE_HOST_SEED);
    return tmebox_mailbox->seed;
}

extern const mp_obj_module_t mp_module_random;

void tmebox_seed_anew(void) {
    mp_obj_t globals = MP_OBJ_FROM_PTR(mp_module_random.globals);
    mp_call_function_0(mp_obj_dict_get(globals, MP_OBJ_NEW_QSTR(MP_QSTR_seed)));
}
