/* tmebox run examples/hello.c [NAME…] */
#include <stdio.h>

int main(int argc, char **argv)
{
	if (argc < 2)
		puts("Hello from inside a sandbox.");
	for (int i = 1; i < argc; i++)
		printf("Hello, %s, from inside a sandbox.\n", argv[i]);
	return 0;
}
