#pragma once

#define HIDDEN __attribute__((__visibility__("hidden")))

/* Set while a program with main() runs: exit() will flush its streams and run its handlers. */
extern HIDDEN int __tmebox_is_command;

void __tmebox_initialize(void);
