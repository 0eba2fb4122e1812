/* What sandboxed C can say to tmebox. Found with #include <tmebox.h>; needs no library. */
#ifndef TMEBOX_H
#define TMEBOX_H

/* A function that the host may call. As soon as a program marks one function, only marked ones are exported;
   a program that marks none exports every non-static function of its sources. */
#define TMEBOX_EXPORT __attribute__((visibility("protected"), used))

/* A function that the host provides. A program's undefined functions are an error unless they are marked so, or
   named with `tmebox cc --import NAME`; a file that defines the function does not import it. */
#define TMEBOX_IMPORT __attribute__((visibility("protected")))

#endif
