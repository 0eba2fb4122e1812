/* Included before sources compiled with -O0. Clang describes functions that are only declared (a module's
   imports) in its debug information only when it is told to optimise; this takes the optimisation back. */
#undef __OPTIMIZE__
#pragma clang optimize off
