#pragma once

void nothing(void);
int add(int a, int b);
long length(const char *text);
int touch(const unsigned char *data, long size);
long ask(long times); /* calls `answer` so many times and adds up what it returns */
int fault(void);
unsigned spin(long steps); /* steps of a random number generator */
unsigned char *buffer_start(void);

long answer(long value); /* the caller's */
