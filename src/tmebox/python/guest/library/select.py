"""What asyncio waits with: there are no files here, so only time passes."""

import time

POLLIN = 1
POLLOUT = 4
POLLERR = 8
POLLHUP = 16


class poll:
    def register(self, stream, events=POLLIN | POLLOUT):
        raise OSError("there is nothing to poll in a sandbox")

    modify = register

    def unregister(self, stream):
        pass

    def ipoll(self, timeout=-1, flags=0):
        if timeout > 0:
            time.sleep_ms(timeout)
        return iter(())

    def poll(self, timeout=-1):
        self.ipoll(timeout)
        return []
