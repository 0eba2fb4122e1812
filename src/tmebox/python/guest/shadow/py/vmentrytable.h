/* Found in the place of MicroPython's table of the interpreter's instructions, which it then includes. On the
   way there it gives the interpreter's empty macro TRACE, which stands in front of each instruction, a
   meaning: to count. So MicroPython's sources stay as they are. */
#undef TRACE
#ifdef TMEBOX_METERED
#define TRACE(ip) tmebox_instructions_left -= 1
#else
#define TRACE(ip)
#endif
#include_next "py/vmentrytable.h"
