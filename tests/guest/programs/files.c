/* Files beneath the granted directory /d, standard streams, time. */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "check.h"

static void streams(void)
{
	char line[100];
	FILE *file = fopen("/d/text", "w+");
	CHECK(file);
	for (int i = 0; i < 5000; i++) fprintf(file, "line %d\n", i);
	CHECK(ftell(file) == 48890 && fseek(file, -10, SEEK_END) == 0);
	CHECK(fgets(line, sizeof line, file) && !strcmp(line, "line 4999\n") && !fgets(line, sizeof line, file) && feof(file));
	rewind(file);
	int number, count = 0;
	while (fscanf(file, "line %d\n", &number) == 1) CHECK(number == count++);
	CHECK(count == 5000 && fclose(file) == 0);
	file = fopen("/d/text", "a");
	CHECK(file && fputs("more", file) >= 0 && fclose(file) == 0);
	struct stat status;
	CHECK(stat("/d/text", &status) == 0 && status.st_size == 48894 && S_ISREG(status.st_mode));
	char *mapped = mmap(NULL, 48894, PROT_READ, MAP_PRIVATE, open("/d/text", O_RDONLY), 0);
	CHECK(mapped != MAP_FAILED && !memcmp(mapped, "line 0\nline 1\n", 14) && !memcmp(mapped + 48890, "more", 5));
	char *memory;
	size_t size;
	file = open_memstream(&memory, &size);
	fprintf(file, "%s", "in memory");
	CHECK(fclose(file) == 0 && size == 9 && !strcmp(memory, "in memory"));
}

static void directories(void)
{
	CHECK(mkdir("/d/sub", 0755) == 0 && chdir("/d/sub") == 0);
	CHECK(mkdir("/d/sub", 0755) == -1 && errno == EEXIST);
	for (char name[2] = "a"; *name < 'g'; ++*name) CHECK(close(creat(name, 0644)) == 0);
	DIR *directory = opendir(".");
	struct dirent *entry;
	unsigned names = 0;
	while ((entry = readdir(directory)))
		if (entry->d_name[0] != '.') names |= 1u << (entry->d_name[0] - 'a');
	closedir(directory);
	CHECK(names == 63);
	char path[100];
	CHECK(getcwd(path, sizeof path) && !strcmp(path, "/d/sub") && realpath("../sub/./a", path));
	CHECK(!strcmp(path, "/d/sub/a") && rename("a", "../moved") == 0 && access("a", F_OK) == -1);
	CHECK(unlink("/d/moved") == 0 && rmdir("/d/sub") == -1 && errno == ENOTEMPTY);
	CHECK(open("/etc/shadow", O_RDONLY) == -1 && errno == ENOENT);
	CHECK(open("/d/../../etc/shadow", O_RDONLY) == -1 && open("../../../etc/shadow", O_RDONLY) == -1);
	CHECK(write(open("/dev/null", O_WRONLY), "x", 1) == 1);
}

static void descriptors(void)
{
	int fd = open("/d/raw", O_RDWR | O_CREAT | O_EXCL, 0600), copy = dup(fd);
	CHECK(fd > 2 && copy > fd && write(fd, "0123456789", 10) == 10 && lseek(copy, 0, SEEK_CUR) == 10);
	char buffer[8] = "";
	CHECK(pread(fd, buffer, 4, 3) == 4 && !strcmp(buffer, "3456") && ftruncate(fd, 5) == 0);
	CHECK(close(fd) == 0 && read(fd, buffer, 1) == -1 && errno == EBADF);
	CHECK(lseek(copy, -2, SEEK_END) == 3 && read(copy, buffer, 8) == 2 && buffer[0] == '3');
	CHECK((fcntl(copy, F_GETFL) & O_ACCMODE) == O_RDWR && !isatty(copy) && errno == ENOTTY);
	CHECK(write(copy, (void *)16, 4) == -1 && errno == EFAULT && close(copy) == 0);
	CHECK(open("/d/raw", O_RDWR | O_CREAT | O_EXCL, 0600) == -1 && errno == EEXIST);
}

static void clocks(void)
{
	struct timespec before, after, wait = { .tv_nsec = 30000000 };
	clock_gettime(CLOCK_MONOTONIC, &before);
	CHECK(nanosleep(&wait, NULL) == 0);
	clock_gettime(CLOCK_MONOTONIC, &after);
	CHECK((after.tv_sec - before.tv_sec) * 1000000000 + after.tv_nsec - before.tv_nsec >= 30000000);
	struct tm date = { .tm_year = 124, .tm_mon = 1, .tm_mday = 29, .tm_hour = 12 };
	char text[50];
	CHECK(timegm(&date) == 1709208000 && strftime(text, sizeof text, "%Y-%m-%d %A", &date));
	CHECK(!strcmp(text, "2024-02-29 Thursday") && time(NULL) > 1700000000 && clock() != -1);
}

int main(int argc, char **argv)
{
	char word[10] = "";
	CHECK(argc == 3 && !strcmp(argv[1], "one") && !strcmp(argv[2], "two words") && !argv[3]);
	CHECK(getenv("COLOUR") && !strcmp(getenv("COLOUR"), "green") && !getenv("HOME"));
	CHECK(scanf("%9s", word) == 1 && !strcmp(word, "input") && getchar() == '\n' && getchar() == EOF);
	streams();
	directories();
	descriptors();
	clocks();
	puts("done");
	FINISH();
}
