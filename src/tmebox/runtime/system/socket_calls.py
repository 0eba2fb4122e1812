"""System calls on sockets."""

from __future__ import annotations

import errno
import os
import socket
import struct
from typing import TYPE_CHECKING

from tmebox.runtime.system.calls import U64, GuestMemory, failure, transfer_size
from tmebox.runtime.system.descriptors import Description
from tmebox.runtime.system.file_calls import gather, into, vectors
from tmebox.runtime.system.files import HostFile, require_room
from tmebox.runtime.system.network import FAMILIES
from tmebox.runtime.system.path_sockets import PathSocket
from tmebox.runtime.system.socket_options import get_option, set_option
from tmebox.runtime.system.sockets import PIECE_MAX, PipeEnd, Stream, TcpSocket

if TYPE_CHECKING:
    from tmebox.runtime.system.system import System

KIND_MASK = 0xF
SOCK_FLAGS = os.O_NONBLOCK | os.O_CLOEXEC
NAME_MAX = 128
OPTION_MAX = 256
RECEIVE_MAX = 0x7FFFF000
"""Bytes that one call receives at most: the kernel's limit."""
MESSAGE = struct.Struct("<QI4xQQQQi4x")
"""struct msghdr: name, its size, iovecs, their count, control data, its size, flags."""


def _stream(system: System, descriptor: int) -> Stream:
    """A pipe is one for us only."""
    found = system.descriptors[descriptor]
    if not isinstance(found, Stream) or isinstance(found, PipeEnd):
        raise failure(errno.ENOTSOCK)
    return found


def _tcp(system: System, descriptor: int) -> TcpSocket:
    found = _stream(system, descriptor)
    if not isinstance(found, TcpSocket):
        raise failure(errno.EINVAL)
    return found


def added(system: System, description: Description, flags: int) -> int:
    """A new descriptor of it, or it is closed."""
    try:
        return system.descriptors.add(description, close_on_exec=bool(flags & os.O_CLOEXEC))
    except OSError:
        description.close()
        raise


def _write_name(memory: GuestMemory, name: bytes, result: int, size_at: int) -> None:
    """As much of it as the guest has room for, and its full size."""
    if not result:
        return
    room = int.from_bytes(memory.read(size_at & U64, 4), "little")
    if room > 1 << 31:
        raise failure(errno.EINVAL)
    memory.write(result & U64, name[:room])
    memory.write(size_at & U64, len(name).to_bytes(4, "little"))


def _read_name(memory: GuestMemory, name: int, size_bytes: int) -> bytes:
    if not 0 <= size_bytes <= NAME_MAX:
        raise failure(errno.EINVAL)
    return memory.read(name & U64, size_bytes)


def socket_(system: System, _memory: GuestMemory, family: int, kind: int, protocol: int) -> int:
    by_path = family == socket.AF_UNIX and system.network.paths.exists
    if family not in FAMILIES and not by_path:
        raise failure(errno.EAFNOSUPPORT)
    if kind & KIND_MASK != socket.SOCK_STREAM or protocol not in (0, 0 if by_path else socket.IPPROTO_TCP):
        raise failure(errno.EPROTONOSUPPORT)
    if not system.network.exists:
        raise failure(errno.EACCES)
    system.descriptors.room()
    require_room()
    made = PathSocket(system.network, kind) if by_path else TcpSocket(system.network, family, kind)
    return added(system, made, kind)


def socketpair(
    system: System, memory: GuestMemory, family: int, kind: int, protocol: int, result: int
) -> int:
    if family in FAMILIES:
        raise failure(errno.EOPNOTSUPP)
    if family != socket.AF_UNIX or protocol:
        raise failure(errno.EAFNOSUPPORT)
    if kind & KIND_MASK not in (socket.SOCK_STREAM, socket.SOCK_DGRAM, socket.SOCK_SEQPACKET):
        raise failure(errno.EPROTONOSUPPORT)
    require_room()
    ends = [Stream(end, kind) for end in socket.socketpair(socket.AF_UNIX, kind & KIND_MASK)]
    return add_pair(system, memory, ends, kind, result)


def add_pair(system: System, memory: GuestMemory, ends: list[Stream], flags: int, result: int) -> int:
    """Two new descriptors, written to the guest; or neither."""
    numbers: list[int] = []
    try:
        for end in ends:
            numbers.append(system.descriptors.add(end, close_on_exec=bool(flags & os.O_CLOEXEC)))
        memory.write(result & U64, struct.pack("<2i", *numbers))
    except BaseException:
        for number in numbers:
            system.descriptors.remove(number)
        for end in ends:
            end.close()
        raise
    return 0


def bind(system: System, memory: GuestMemory, descriptor: int, name: int, size_bytes: int) -> int:
    _tcp(system, descriptor).bind(_read_name(memory, name, size_bytes))
    return 0


def listen(system: System, _memory: GuestMemory, descriptor: int, backlog: int) -> int:
    listener = _tcp(system, descriptor)
    listener.listen(backlog)
    system.descriptors.refresh(listener)
    return 0


def accept(system: System, memory: GuestMemory, descriptor: int, name: int, size_at: int) -> int:
    return accept4(system, memory, descriptor, name, size_at, 0)


def accept4(system: System, memory: GuestMemory, descriptor: int, name: int, size_at: int, flags: int) -> int:
    if flags & ~SOCK_FLAGS:
        raise failure(errno.EINVAL)
    listener = _tcp(system, descriptor)
    system.descriptors.room()
    require_room()
    connection, peer = listener.accept(flags)
    number = added(system, connection, flags)
    try:
        _write_name(memory, peer, name, size_at)
    except BaseException:
        system.descriptors.remove(number)
        raise
    return number


def connect(system: System, memory: GuestMemory, descriptor: int, name: int, size_bytes: int) -> int:
    _tcp(system, descriptor).connect(_read_name(memory, name, size_bytes))
    return 0


def sendto(
    system: System,
    memory: GuestMemory,
    descriptor: int,
    buffer: int,
    size_bytes: int,
    flags: int,
    _name: int,
    _name_size: int,
) -> int:
    """To whom is known: the name is ignored, as the kernel does for a connection."""
    data = memory.read(buffer & U64, transfer_size(size_bytes))
    return _send(system, descriptor, data, flags)


def _send(system: System, descriptor: int, data: bytes, flags: int) -> int:
    stream = _stream(system, descriptor)
    if flags & ~socket.MSG_NOSIGNAL:
        return stream.send(data, flags)
    return system.descriptors.write(descriptor, data)


def recvfrom(
    system: System,
    memory: GuestMemory,
    descriptor: int,
    buffer: int,
    size_bytes: int,
    flags: int,
    name: int,
    name_size: int,
) -> int:
    wanted = buffer & U64, min(size_bytes & U64, RECEIVE_MAX)
    received = _stream(system, descriptor).deliver(wanted, flags, into(memory, [wanted]))
    if name and name_size:
        memory.write(name_size & U64, bytes(4))
    return received.result


def sendmsg(system: System, memory: GuestMemory, descriptor: int, message: int, flags: int) -> int:
    """Without control data: descriptors are not passed on."""
    _stream(system, descriptor)
    _, _, parts, count, _, control_size, _ = MESSAGE.unpack(memory.read(message & U64, MESSAGE.size))
    if control_size:
        raise failure(errno.EINVAL)
    data = gather(memory, vectors(memory, parts, _signed(count)))
    return _send(system, descriptor, data, flags)


def recvmsg(system: System, memory: GuestMemory, descriptor: int, message: int, flags: int) -> int:
    header = memory.read(message & U64, MESSAGE.size)
    _, _, parts_at, count, _, _, _ = MESSAGE.unpack(header)
    parts = vectors(memory, parts_at, _signed(count))
    wanted = parts[0][0] if parts else 0, sum(size for _, size in parts)
    received = _stream(system, descriptor).deliver(wanted, flags, into(memory, parts))
    memory.write((message & U64) + 8, bytes(4))  # no name
    memory.write((message & U64) + 40, struct.pack("<QI", 0, received.flags))  # no control data
    return received.result


def _signed(count: int) -> int:
    return count if count < 1 << 63 else -1


def shutdown(system: System, _memory: GuestMemory, descriptor: int, how: int) -> int:
    stream = _stream(system, descriptor)
    stream.shutdown(how)
    system.descriptors.refresh(stream)
    return 0


def getsockname(system: System, memory: GuestMemory, descriptor: int, name: int, size_at: int) -> int:
    _write_name(memory, _stream(system, descriptor).own_name(), name, size_at)
    return 0


def getpeername(system: System, memory: GuestMemory, descriptor: int, name: int, size_at: int) -> int:
    _write_name(memory, _stream(system, descriptor).peer_name(), name, size_at)
    return 0


def setsockopt(
    system: System, memory: GuestMemory, descriptor: int, level: int, option: int, data: int, size_bytes: int
) -> int:
    stream = _stream(system, descriptor)
    if not 0 <= size_bytes <= OPTION_MAX:
        raise failure(errno.EINVAL)
    set_option(stream, level, option, memory.read(data & U64, size_bytes))
    return 0


def getsockopt(
    system: System, memory: GuestMemory, descriptor: int, level: int, option: int, data: int, size_at: int
) -> int:
    value = get_option(_stream(system, descriptor), level, option)
    room = int.from_bytes(memory.read(size_at & U64, 4), "little", signed=True)
    if room < 0:
        raise failure(errno.EINVAL)
    memory.write(data & U64, value[:room])
    memory.write(size_at & U64, min(room, len(value)).to_bytes(4, "little"))
    return 0


def sendfile(
    system: System, memory: GuestMemory, target: int, source: int, position_at: int, size_bytes: int
) -> int:
    """From a file, to anything that can be written but a file to append to."""
    sink, file = system.descriptors[target], system.descriptors[source]
    if file.status_flags & os.O_ACCMODE == os.O_WRONLY or sink.status_flags & os.O_ACCMODE == os.O_RDONLY:
        raise failure(errno.EBADF)
    if not isinstance(file, HostFile) or file.host_descriptor() is None:
        raise failure(errno.EINVAL)
    if isinstance(sink, HostFile) and sink.status_flags & os.O_APPEND:
        raise failure(errno.EINVAL)
    position = (
        int.from_bytes(memory.read(position_at & U64, 8), "little", signed=True)
        if position_at
        else file.seek(0, os.SEEK_CUR)
    )
    if position < 0:
        raise failure(errno.EINVAL)
    data = file.pread(min(transfer_size(size_bytes), PIECE_MAX), position)
    sent = 0
    if data:
        sent = sink.send(data, 0) if isinstance(sink, Stream) else system.descriptors.write(target, data)
    if position_at:
        memory.write(position_at & U64, (position + sent).to_bytes(8, "little"))
    else:
        file.seek(position + sent, os.SEEK_SET)
    return sent
