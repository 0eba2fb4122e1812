"""What the host writes into a guest's struct is as long as that is: one byte more is somebody else's."""

from __future__ import annotations

import struct

import tmebox
from tmebox.runtime.system import file_calls, kernel_objects, link_calls, socket_options

SOURCE = """
#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/statfs.h>
int sizes[] = {
	sizeof(struct statfs), sizeof(struct flock), sizeof(struct epoll_event), sizeof(struct linger),
};
int size_of(int index) { return sizes[index]; }
int after_statfs(void)
{
	struct { struct statfs space; unsigned char after[64]; } both;
	for (int i = 0; i < 64; i++) both.after[i] = 0xa5;
	if (statfs("/", &both.space)) return -1;
	for (int i = 0; i < 64; i++) if (both.after[i] != 0xa5) return i + 1;
	return 0;
}
"""
STRUCTS: list[struct.Struct] = [
    link_calls.STATFS,
    file_calls.FLOCK,
    kernel_objects.EVENT,
    socket_options.LINGER,
]


def test_structs_are_as_long_as_the_guests() -> None:
    with tmebox.Sandbox(tmebox.compile(source_text=SOURCE)) as sandbox:
        assert [sandbox.size_of(index) for index in range(len(STRUCTS))] == [one.size for one in STRUCTS]
        assert sandbox.after_statfs() == 0
