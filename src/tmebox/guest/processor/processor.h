/* What stands in for instructions that ask the processor. */
#ifndef TMEBOX_PROCESSOR_H
#define TMEBOX_PROCESSOR_H

#define HIDDEN __attribute__((visibility("hidden")))

long __tmebox_syscall(long number, const long arguments[6]);
HIDDEN void __tmebox_answer_cpuid(unsigned leaf, unsigned subleaf, unsigned result[4]);
HIDDEN unsigned __tmebox_answer_xgetbv(unsigned index);

#endif
