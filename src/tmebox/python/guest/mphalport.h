/* What MicroPython asks of a machine; see clock.c and output.c. */
#include <stddef.h>
#include <stdint.h>
#include "py/obj.h"

mp_uint_t mp_hal_ticks_ms(void);
mp_uint_t mp_hal_ticks_us(void);
mp_uint_t mp_hal_ticks_cpu(void);
uint64_t mp_hal_time_ns(void);
void mp_hal_delay_ms(mp_uint_t ms);
void mp_hal_delay_us(mp_uint_t us);
void mp_hal_stdout_tx_str(const char *text);
mp_uint_t mp_hal_stdout_tx_strn(const char *text, size_t size);
void mp_hal_stdout_tx_strn_cooked(const char *text, size_t size);
int mp_hal_stdin_rx_chr(void);
uintptr_t mp_hal_stdio_poll(uintptr_t flags);
void mp_hal_set_interrupt_char(int c);
