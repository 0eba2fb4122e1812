/* What the program prints goes into the mailbox, and to the host when that is full or a line ends. */
#include <string.h>
#include "py/mperrno.h"
#include "py/mphal.h"
#include "py/stream.h"
#include "port.h"

void tmebox_flush(void) {
    if (tmebox_mailbox->printed) {
        python_host(WIRE_HOST_PRINT);
        tmebox_mailbox->printed = 0;
    }
}

static void put(const char *text, size_t size) {
    struct mailbox *mailbox = tmebox_mailbox;
    if (size > mailbox->output_left) {
        mp_raise_msg_varg(&mp_type_OSError, MP_ERROR_TEXT("the limit on output is reached"));
    }
    mailbox->output_left -= size;
    while (size > 0) {
        if (mailbox->printed >= WIRE_OUTPUT_SIZE) {
            tmebox_flush();
        }
        size_t room = WIRE_OUTPUT_SIZE - mailbox->printed, part = size < room ? size : room;
        memcpy(mailbox->output + mailbox->printed, text, part);
        mailbox->printed += part;
        if (mailbox->lines && memchr(text, '\n', part)) {
            tmebox_flush();
        }
        text += part;
        size -= part;
    }
}

mp_uint_t mp_hal_stdout_tx_strn(const char *text, size_t size) {
    put(text, size);
    return size;
}

void mp_hal_stdout_tx_strn_cooked(const char *text, size_t size) {
    put(text, size);
}

void mp_hal_stdout_tx_str(const char *text) {
    put(text, strlen(text));
}

/* There is no input. */
int mp_hal_stdin_rx_chr(void) {
    mp_raise_type(&mp_type_EOFError);
}

uintptr_t mp_hal_stdio_poll(uintptr_t flags) {
    return flags & MP_STREAM_POLL_WR;
}
