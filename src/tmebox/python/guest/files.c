/* There are no files: `open` says so. */
#include "py/builtin.h"
#include "port.h"

static mp_obj_t no_open(size_t count, const mp_obj_t *arguments, mp_map_t *named) {
    (void)count, (void)arguments, (void)named;
    mp_raise_msg(&mp_type_OSError, MP_ERROR_TEXT("there are no files in the sandbox"));
}
MP_DEFINE_CONST_FUN_OBJ_KW(mp_builtin_open_obj, 0, no_open);
