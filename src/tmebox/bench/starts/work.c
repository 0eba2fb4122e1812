/* Something to do for several threads at once: `rounds` dependent multiplications. */
long work(long rounds)
{
	unsigned long x = 1;
	for (long i = 0; i < rounds; i++) x = x * 6364136223846793005ul + 1442695040888963407ul;
	return (long)(x >> 33);
}
