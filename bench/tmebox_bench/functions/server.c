/* functions.c in a process of its own, called through pipes: stdin has requests, stdout answers. */
#include <stdlib.h>
#include <unistd.h>

#include "functions.h"

struct message {
	long operation, first, second;
};

enum { ADD, LENGTH, TOUCH, ASK, FAULT };
enum { RESULT, QUESTION };

static void transfer(int output, void *data, size_t size)
{
	for (size_t done = 0; done < size;) {
		char *rest = (char *)data + done;
		ssize_t moved = output ? write(1, rest, size - done) : read(0, rest, size - done);
		if (moved <= 0) _exit(0);
		done += (size_t)moved;
	}
}

static void reply(long kind, long value)
{
	struct message message = { kind, value, 0 };
	transfer(1, &message, sizeof message);
}

long answer(long value)
{
	struct message message;
	reply(QUESTION, value);
	transfer(0, &message, sizeof message);
	return message.first;
}

int main(void)
{
	char *data = malloc(1 << 21);
	for (;;) {
		struct message message;
		transfer(0, &message, sizeof message);
		switch (message.operation) {
		case ADD:
			reply(RESULT, add((int)message.first, (int)message.second));
			break;
		case LENGTH:
			transfer(0, data, (size_t)message.first);
			data[message.first] = 0;
			reply(RESULT, length(data));
			break;
		case TOUCH:
			transfer(0, data, (size_t)message.first);
			reply(RESULT, touch((unsigned char *)data, message.first));
			break;
		case ASK:
			reply(RESULT, ask(message.first));
			break;
		case FAULT:
			reply(RESULT, fault());
			break;
		}
	}
}
