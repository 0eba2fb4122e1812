/* tmebox run --dir .:/here:ro examples/wordcount.c /here/README.md
   Counts lines, words and bytes of files, or of standard input. */
#include <ctype.h>
#include <stdio.h>

static void count(FILE *file, const char *name)
{
	long lines = 0, words = 0, bytes = 0;
	int inside = 0;
	for (int c; (c = getc(file)) != EOF; bytes++) {
		lines += c == '\n';
		words += !isspace(c) && !inside;
		inside = !isspace(c);
	}
	printf("%7ld %7ld %7ld %s\n", lines, words, bytes, name);
}

int main(int argc, char **argv)
{
	int failed = 0;
	if (argc < 2)
		count(stdin, "");
	for (int i = 1; i < argc; i++) {
		FILE *file = fopen(argv[i], "r");
		if (!file) {
			perror(argv[i]);
			failed = 1;
			continue;
		}
		count(file, argv[i]);
		fclose(file);
	}
	return failed;
}
