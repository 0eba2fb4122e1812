/* Something to do for several threads at once: `rounds` steps of a generator, each waiting for the one before. */
long work(long rounds)
{
	unsigned long x = 88172645463325252ul;
	for (long i = 0; i < rounds; i++) {
		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
	}
	return (long)(x >> 33);
}
