#include "start.h"

int __tmebox_is_command;
