/* A sandbox has one thread, so its descriptor is a static object and the thread pointer a constant. */
extern __attribute__((__visibility__("hidden"))) struct __pthread __tmebox_thread;

static inline uintptr_t __get_tp(void)
{
	return (uintptr_t)&__tmebox_thread;
}

#define MC_PC gregs[REG_RIP]
