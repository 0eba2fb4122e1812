/* What MicroPython is built with as a guest of tmebox: all of the language, nothing of a machine. */
#include <stdint.h>
#include <stddef.h>
#include <alloca.h>

#define MICROPY_CONFIG_ROM_LEVEL (MICROPY_CONFIG_ROM_LEVEL_EVERYTHING)

typedef intptr_t mp_int_t;
typedef uintptr_t mp_uint_t;
typedef long mp_off_t;

/* -- the language ---------------------------------------------------------------------------------- */
#define MICROPY_FLOAT_IMPL (MICROPY_FLOAT_IMPL_DOUBLE)
#define MICROPY_FLOAT_USE_NATIVE_FLT16 (0)
#define MICROPY_LONGINT_IMPL (MICROPY_LONGINT_IMPL_MPZ)
#define MICROPY_OPT_COMPUTED_GOTO (1)
#define MICROPY_ERROR_REPORTING (MICROPY_ERROR_REPORTING_DETAILED)
#define MICROPY_PY_BUILTINS_HELP (0)
#define MICROPY_PY_BUILTINS_INPUT (0)
#define MICROPY_PY_SYS_EXC_INFO (1)
#define MICROPY_PY_SYS_EXIT (1)
#define MICROPY_PY_SYS_PLATFORM "tmebox"
#define MICROPY_PY_SYS_PATH_DEFAULT ".frozen:.host"
#define MICROPY_BANNER_MACHINE "tmebox"
#define MICROPY_PY_STR_BYTES_CMP_WARN (0)
#define MICROPY_WARNINGS (0)
#define MICROPY_MODULE_FROZEN_STR (1)
#define MICROPY_MODULE_FROZEN_MPY (1) /* there are none, but MicroPython finds texts only beside them */
#define MICROPY_ENABLE_EXTERNAL_IMPORT (1)
#define MICROPY_EPOCH_IS_1970 (1)
#define MICROPY_TIMESTAMP_IMPL (MICROPY_TIMESTAMP_IMPL_LONG_LONG)
#define MICROPY_PY_TIME (1)
#define MICROPY_PY_TIME_GMTIME_LOCALTIME_MKTIME (1)
#define MICROPY_PY_TIME_TIME_TIME_NS (1)
#define MICROPY_PY_TIME_CUSTOM_SLEEP (1)
#define MICROPY_PY_TIME_INCLUDEFILE "clock.h"
#define MICROPY_PY_RANDOM_SEED_INIT_FUNC (tmebox_seed())
#define MICROPY_PY_GC_COLLECT_RETVAL (1)
#define MICROPY_PY_MICROPYTHON_MEM_INFO (0)
#define MICROPY_PY_CRYPTOLIB (0)
#define MICROPY_PY_HASHLIB_SHA256 (1)
#define MICROPY_PY_HASHLIB_SHA1 (0)
#define MICROPY_PY_HASHLIB_MD5 (0)
#define MICROPY_PY_SELECT (0)
#define MICROPY_PY_SYS_PS1_PS2 (0)

/* -- nothing of a machine, and nothing that runs code of the guest's other than from source ---------- */
#define MICROPY_PERSISTENT_CODE_LOAD (0)
#define MICROPY_PERSISTENT_CODE_SAVE (0)
#define MICROPY_PY_MARSHAL (0)
#define MICROPY_PY_FUNCTION_ATTRS_CODE (0)
#define MICROPY_PY_BUILTINS_CODE (MICROPY_PY_BUILTINS_CODE_BASIC)
#define MICROPY_EMIT_X64 (0)
#define MICROPY_EMIT_INLINE_THUMB (0)
#define MICROPY_PY_THREAD (0)
#define MICROPY_PY_MACHINE (0)
#define MICROPY_PY_OS (0)
#define MICROPY_PY_VFS (0)
#define MICROPY_VFS (0)
#define MICROPY_PY_UCTYPES (0)
#define MICROPY_PY_FRAMEBUF (0)
#define MICROPY_PY_NETWORK (0)
#define MICROPY_PY_SOCKET (0)
#define MICROPY_PY_SSL (0)
#define MICROPY_PY_BLUETOOTH (0)
#define MICROPY_PY_BTREE (0)
#define MICROPY_PY_WEBSOCKET (0)
#define MICROPY_PY_WEBREPL (0)
#define MICROPY_PY_ONEWIRE (0)
#define MICROPY_PY_PLATFORM (0)
#define MICROPY_PY_SYS_SETTRACE (0)
#define MICROPY_HELPER_REPL (0)
#define MICROPY_REPL_EVENT_DRIVEN (0)
#define MICROPY_REPL_AUTO_INDENT (0)
#define MICROPY_USE_READLINE (0)

/* -- memory ---------------------------------------------------------------------------------------- */
#define MICROPY_ENABLE_GC (1)
#define MICROPY_GCREGS_SETJMP (1)
#define MICROPY_NLR_SETJMP (1)
#define MICROPY_ENABLE_FINALISER (1)
#define MICROPY_STACK_CHECK (1)
/* No arrays of variable size on the C stack: they would lie elsewhere in a sandbox, and everything else that their files
   give an address, while the interpreter compares addresses of what its functions have (py/nlr.c), and counts the stack
   by them. */
#define MICROPY_ENABLE_PYSTACK (1)
/* What C code may need between two looks at the stack. */
#define MICROPY_STACK_CHECK_MARGIN (32 * 1024)
#define MICROPY_ENABLE_EMERGENCY_EXCEPTION_BUF (1)
#define MICROPY_EMERGENCY_EXCEPTION_BUF_SIZE (256)
#define MICROPY_ALLOC_PATH_MAX (256)

/* -- interrupts and limits -------------------------------------------------------------------------- */
#define MICROPY_KBD_EXCEPTION (1)
#define MICROPY_ENABLE_SCHEDULER (1)
#define MICROPY_ENABLE_VM_ABORT (1)
#define MICROPY_ASYNC_KBD_INTR (0)

/* Instructions that may still be executed. shadow/py/vmentrytable.h makes the interpreter count it down. */
extern int64_t tmebox_instructions_left;
/* In memory that the host writes. */
extern volatile uint32_t *tmebox_interrupted;
void tmebox_stop_or_go_on(void);

#define TMEBOX_LOOK \
    if (__builtin_expect(tmebox_instructions_left < 0 || *tmebox_interrupted, 0)) { \
        tmebox_stop_or_go_on(); \
    }
#define MICROPY_VM_HOOK_INIT TMEBOX_LOOK
#define MICROPY_VM_HOOK_LOOP TMEBOX_LOOK

unsigned long tmebox_seed(void);

#define MICROPY_HW_BOARD_NAME "sandbox"
#define MICROPY_HW_MCU_NAME "x86-64"
#define MP_STATE_PORT MP_STATE_VM
