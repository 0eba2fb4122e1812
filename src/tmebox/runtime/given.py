"""What a sandbox is given besides its contents, and the world that is made of it."""

from __future__ import annotations

import errno
import socket
import sys
from collections.abc import Mapping
from functools import partial
from typing import Any, NamedTuple

from tmebox.errors import LimitError
from tmebox.runtime.option_types import Imports, Input, Output
from tmebox.runtime.system import Directory, System
from tmebox.runtime.system.descriptors import FEWEST_OPEN
from tmebox.runtime.system.network import AnyEndpoint


class Options(NamedTuple):
    """Checked. `timeout`: seconds, 0 for none."""

    timeout: float
    imports: Imports
    dirs: tuple[Directory, ...]
    env: Mapping[str, str]
    stdin: Input
    stdout: Output
    stderr: Output
    files: int | None
    listen: tuple[AnyEndpoint | socket.socket, ...] = ()
    connect: tuple[AnyEndpoint, ...] = ()

    @property
    def opens(self) -> bool:
        """Whether there is something to be opened, or kept as it is now, before anybody asks for it."""
        return bool(self.stdin is not None or self.dirs or self.listen or self.connect)

    def as_given(self) -> dict[str, Any]:
        """For another sandbox."""
        listen = [item if isinstance(item, socket.socket) else item.as_given for item in self.listen]
        connect = [item.as_given for item in self.connect]
        return {**self._asdict(), "timeout": self.timeout or None, "listen": listen, "connect": connect}


DEFAULTS = Options(0.0, None, (), {}, None, None, None, None)


def system_of(given: Options) -> System:
    return System(
        stdin=given.stdin,
        stdout=sys.stdout if given.stdout is None else given.stdout,
        stderr=sys.stderr if given.stderr is None else given.stderr,
        env=given.env,
        directories=given.dirs,
        max_open_files=given.files,
        listen=given.listen,
        connect=given.connect,
    )


DEFAULT_SYSTEM = partial(system_of, DEFAULTS)


def opened_system(given: Options) -> System:
    """At once. Raises OSError, or LimitError where no descriptor is left."""
    try:
        return system_of(given)
    except OSError as error:
        if error.errno not in (errno.EMFILE, errno.ENFILE):
            raise
        raise LimitError(
            "no file descriptor is left for the sandbox's directories: close some, or raise `ulimit -n`"
        ) from error


def checked_files(files: int | None) -> int | None:
    if files is None or (type(files) is int and files >= FEWEST_OPEN):
        return files
    raise ValueError(
        f"files={files!r}: a whole number, at least {FEWEST_OPEN} for the standard streams, or None"
    )


def checked_timeout(timeout: float | None) -> float:
    if timeout is None:
        return 0.0
    seconds = float(timeout)
    if not 0 < seconds < 1e9:
        raise ValueError(f"timeout={timeout!r}: a positive number of seconds, or None")
    return seconds
