/* The least a sandbox, an instance or a process can do. */
int add(int a, int b)
{
	return a + b;
}

#ifdef PROGRAM
int main(void)
{
	return add(3, 4) != 7;
}
#endif
