/* A first call that uses the C library: malloc and stdio. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int greet(int number)
{
	char *text = malloc(1000);
	if (!text) return -1;
	snprintf(text, 1000, "hello number %d", number);
	int length = (int)strlen(text);
	puts(text);
	fflush(stdout);
	free(text);
	return length;
}

#ifdef PROGRAM
int main(void)
{
	return greet(7) != 14;
}
#endif
