/* Included by MicroPython's `time` module: what it takes from the port. */
#include "py/mphal.h"
#include "shared/timeutils/timeutils.h"

static mp_obj_t mp_time_time_get(void) {
    return mp_obj_new_float((double)mp_hal_time_ns() * 1e-9);
}

static mp_obj_t mp_time_localtime_get(void) {
    timeutils_struct_time_t now;
    timeutils_seconds_since_epoch_to_struct_time(mp_hal_time_ns() / 1000000000u, &now);
    mp_obj_t parts[8] = {
        mp_obj_new_int(now.tm_year), mp_obj_new_int(now.tm_mon), mp_obj_new_int(now.tm_mday),
        mp_obj_new_int(now.tm_hour), mp_obj_new_int(now.tm_min), mp_obj_new_int(now.tm_sec),
        mp_obj_new_int(now.tm_wday), mp_obj_new_int(now.tm_yday),
    };
    return mp_obj_new_tuple(8, parts);
}

static void mp_time_sleep(mp_obj_t seconds_in) {
    mp_float_t seconds = mp_obj_get_float(seconds_in);
    if (!(seconds >= 0)) {
        mp_raise_ValueError(MP_ERROR_TEXT("sleep length must be non-negative"));
    }
    if (seconds > 1e9) {
        mp_raise_msg(&mp_type_OverflowError, MP_ERROR_TEXT("sleep length is too large"));
    }
    mp_hal_delay_us((mp_uint_t)(seconds * 1e6));
}
