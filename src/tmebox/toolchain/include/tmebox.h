/* What sandboxed C can say to tmebox. Found with #include <tmebox.h>; needs no library. */
#ifndef TMEBOX_H
#define TMEBOX_H

/* A function that the host may call. As soon as a program marks one function, only marked ones are exported;
   a program that marks none exports every non-static function of its sources. */
#define TMEBOX_EXPORT __attribute__((visibility("protected"), used))

#endif
