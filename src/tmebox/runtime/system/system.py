"""System: one sandbox's view of the world."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

from tmebox import _native
from tmebox.at_once import require_at_once
from tmebox.runtime.system.calls import ENDING, TKILL, Assertion, GuestMemory, error_result
from tmebox.runtime.system.clock import Clock, Waits
from tmebox.runtime.system.datapath import WAITS
from tmebox.runtime.system.descriptors import Description, Descriptors, News, default_max_open
from tmebox.runtime.system.files import HostFile
from tmebox.runtime.system.network import AnyEndpoint, Network
from tmebox.runtime.system.paths import Directory, Namespace
from tmebox.runtime.system.shared_files import SharedFile
from tmebox.runtime.system.sockets import Connection
from tmebox.runtime.system.streams import input_stream, output_stream
from tmebox.runtime.system.table import dispatch
from tmebox.runtime.system.trace import (
    MAX_ERRNO,
    NOT_REFUSED,
    CallCounts,
    Refusal,
    call_name,
    path_of,
)

DEFAULT_MAX_FILE_BYTES = 4 << 30
DEFAULT_CLOCK = Clock()
NO_NETWORK = Network()
"""Of every guest that was given nothing."""


class System:
    """Answers a sandbox's system calls from what it was given, and nothing else.

    stdin: bytes, a binary file, a descriptor number, a callable(size) -> bytes, or None (empty).
    stdout, stderr: a binary or text file, a descriptor number, a callable(bytes), or None (discarded).
    env: the environment a program starts with. directories: what of the file system it reaches. listen,
    connect: what of the network; or network, which stays whose it is.
    exclusive: it is for one program, which ends before anybody waits for the other side of a stream.
    max_open_files, max_file_bytes: EMFILE and EFBIG above; streams count as files, and None is a default
    well below the process's own limit. clock, random: for deterministic runs. trace: told of each call that
    was refused, for which all files are opened by Python. calls: counts those that come here, and the core's.
    Raises OSError if a directory cannot be opened, or an address cannot be had.
    """

    core_answers: ClassVar[bool] = True
    """Whether the core may answer some of the calls by itself."""

    def __init__(
        self,
        *,
        stdin: Any = None,
        stdout: Any = None,
        stderr: Any = None,
        env: Mapping[str, str] | None = None,
        directories: Sequence[Directory] = (),
        listen: Sequence[AnyEndpoint | socket.socket] = (),
        connect: Sequence[AnyEndpoint] = (),
        network: Network | None = None,
        exclusive: bool = False,
        clock: Clock | None = None,
        random: Callable[[int], bytes] = os.urandom,
        max_open_files: int | None = None,
        max_file_bytes: int = DEFAULT_MAX_FILE_BYTES,
        trace: Callable[[Refusal], None] | None = None,
        calls: CallCounts | None = None,
    ) -> None:
        if trace is not None:
            require_at_once(trace, "trace")
        self._trace = trace
        self._calls = calls
        self.clock = DEFAULT_CLOCK if clock is None else clock
        self.random = random
        self.max_file_bytes = max_file_bytes
        self.cpu_features: frozenset[str] = frozenset()
        """What the guest is told that the processor has, by the names of /proc/cpuinfo."""
        self.exhausted_bytes = 0
        """Size of the last allocation that found no memory; 0 if none has failed."""
        self.most_resident_bytes = 0
        """What getrusage() has seen."""
        self.failed_assertion: Assertion | None = None
        """The one that the guest is about to call abort() for."""
        self.last_words: str | None = None
        """What it said of a reason that is none."""
        self._owns_network = network is None and bool(listen or connect)
        if network is None:
            network = Network(listen, connect) if self._owns_network else NO_NETWORK
        self.network = network
        try:
            self.namespace = Namespace(directories)
        except BaseException:
            if self._owns_network:
                self.network.close()
            raise
        self.core = _native.GuestDescriptors(host_clock=type(self.clock) is Clock)
        """What the core answers by itself."""
        if calls is not None:
            calls.watch(self.core)
        self._exclusive = exclusive
        self._env = dict(env or {})
        self._streams = (stdin, stdout, stderr)
        self._max_open_files = default_max_open() if max_open_files is None else max_open_files
        self._begin()

    def _begin(self) -> None:
        """What calls of the guest's change, as it is before the first."""
        stdin, stdout, stderr = self._streams
        only = self._exclusive
        streams = (input_stream(stdin, only), output_stream(stdout, only), output_stream(stderr, only))
        self.descriptors = Descriptors(streams, self._max_open_files, self.core)
        self.limits: dict[int, tuple[int, int]] = {}
        """What the guest has set by setrlimit(), soft and hard, by resource."""
        self.limit_descriptors(self._max_open_files)
        self.waits = Waits()
        self.umask = 0o022
        self.namespace.parts = ()
        self._used = False

    def limit_descriptors(self, count: int) -> None:
        """So many numbers the guest may use; those above stay open."""
        self.descriptors.limit = min(count, self.descriptors.most)
        grants = () if self._trace is not None else self.namespace.for_core()
        self.core.begin(self.descriptors.limit, grants)

    def environment(self) -> dict[str, str]:
        return dict(self._env)

    def handle(self, memory: GuestMemory, number: int, arguments: tuple[int, ...]) -> int:
        """Result of a system call, as the kernel returns it: a value, or -errno. `arguments` are six signed
        64-bit numbers, none of which is trusted. Raises Exit or Abort when the program ends, and what a
        stream or callable of the host's raises, OSError excepted."""
        self._used = True
        if number != TKILL:
            self.failed_assertion = self.last_words = None
        if self._calls is not None:
            self._calls.asked_python(number)
        self.waits.other_call(number)
        if self.core.has_news and number not in ENDING:
            try:
                self.descriptors.meet(self._describe)
            except OSError as error:  # no descriptor is left for a file that the core has opened
                return error_result(error)
        result = dispatch(self, memory, number, arguments)
        if self._trace is not None and -MAX_ERRNO <= result < 0 and result not in NOT_REFUSED:
            self._trace(Refusal(call_name(number), -result, path_of(memory, number, arguments)))
        return result

    def _describe(self, news: News) -> Description:
        if not news.is_file:
            flags = 0 if news.flags & WAITS else os.O_NONBLOCK
            return Connection(socket.socket(fileno=self.core.give(news.number)), flags)
        read_only = self.namespace.is_read_only(news.mount)
        flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NOCTTY | os.O_NONBLOCK
        try:
            own = os.open(f"/proc/self/fd/{news.host}", flags)
        except OSError:
            return SharedFile(os.dup(news.host), news.status, news.mount, read_only, news.position)
        file = HostFile(own, os.O_RDONLY | news.status, news.mount, read_only, self.max_file_bytes)
        file.seek(news.position, os.SEEK_SET)
        return file

    @property
    def has_open_files(self) -> bool:
        """Whether the guest has opened, closed or moved a descriptor, and not undone it."""
        return self.descriptors.changed

    def reset(self) -> None:
        """As for a new sandbox: the guest's files closed; streams, working directory and file mode mask as
        at the beginning. What was read from a file of the host's stays read."""
        self.exhausted_bytes = self.most_resident_bytes = 0
        self.failed_assertion = self.last_words = None
        if self._used or self.descriptors.changed:
            self.descriptors.close()
            self._begin()

    def close(self) -> None:
        """Close every file the guest has open. Idempotent."""
        self.descriptors.close()  # and the core opens nothing any more
        self.namespace.close()
        if self._owns_network:
            self.network.close()
