/* Whether a buffer's items are what a pointer points to, told by letters as in Python's struct module. */
#include "python/face.h"

#include <string.h>

/* What kind of number a format letter means: 'i' signed, 'u' unsigned, 'f' floating, '?'; 0: no number. */
static char kind_of(char letter) {
    return letter == 0                         ? 0
           : strchr("bhilqn", letter) != NULL  ? 'i'
           : strchr("BHILQNc", letter) != NULL ? 'u'
           : strchr("efdg", letter) != NULL    ? 'f'
           : letter == '?'                     ? '?'
                                               : 0;
}

static Py_ssize_t size_of(char letter) {
    return letter == '?' ? 1 : letter == 'h' || letter == 'H' ? 2 : strchr("iIf", letter) != NULL ? 4 : 8;
}

/* Whether a buffer's items are what the pointer points to, as far as that is told here. Strange items (Python
 * objects, fields, another byte order) and a number of bytes that holds no whole number of items are not. */
bool tmebox_items_fit(char item, const Py_buffer *view) {
    const char *format = view->format != NULL ? view->format : "B";
    format += *format == '@' || *format == '=' || *format == '<';
    char kind = format[0] != 0 && format[1] == 0 ? kind_of(format[0]) : 0;
    if (kind == 0 || item == ANY_ITEMS || item == BYTES) {
        return kind != 0;
    }
    return item != '-' && kind == kind_of(item) && view->itemsize == size_of(item);
}
