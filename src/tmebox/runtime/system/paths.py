"""Granted directories, and opening what lies beneath them and nothing else.

A guest path is made absolute against the guest's working directory and cleaned by its text (`a/..` is
nothing, whatever `a` is), so no `..` ever reaches the kernel from a guest. The longest granted directory it
starts with decides where to begin; the rest is looked up beneath that directory's descriptor, so that
symbolic links, their targets' `..` and renames meanwhile cannot lead out. /proc must be mounted.

What may be changed is a matter of directories, not of paths. A directory that was granted read-only is
read-only whatever way leads into it: another grant that it lies in, a symbolic link, a new name of a parent.
So are names: where only some were granted, only those are reached and changed, whatever way leads there.
And no guest renames or removes a directory that is, or contains, a grant: somebody else knows it by its name.
Hard links and bind mounts are the host's to make; the guest cannot, and what they lead to is not looked at.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

from tmebox import _native
from tmebox.runtime.system import walking
from tmebox.runtime.system.calls import failure
from tmebox.runtime.system.walking import (
    ALL_NAMES,
    NO_LIMITS,
    RETRIES,
    Found,
    Identity,
    Limits,
    Names,
    identity,
)


@dataclass(frozen=True)
class Directory:
    """A directory of the host that a guest sees at `guest_path`, which is taken as absolute.

    names: what names in it must begin with, for the guest to reach what they name, or see them: by this grant
    and by others that it lies in. The directory's own mode and times are not the guest's to change then.
    """

    host_path: str | os.PathLike[str]
    guest_path: str
    read_only: bool = False
    names: str = ""


@dataclass(frozen=True)
class Mount:
    """An opened grant. `parts` is its guest path, split. `limits` hold in directories beneath it, because
    those were granted so."""

    own: _native.Descriptor
    parts: tuple[bytes, ...]
    own_limits: Limits
    number: int
    limits: Mapping[Identity, Limits]

    @property
    def descriptor(self) -> int:
        return self.own.number

    @property
    def read_only(self) -> bool:
        return self.own_limits.read_only

    @property
    def names(self) -> Names:
        return self.own_limits.names

    def find(self, path: bytes, *, follow: bool = True) -> Found:
        """What `path`, which has no `..`, leads to beneath this grant. Raises OSError."""
        return walking.find(self.descriptor, path, follow=follow, own=self.own_limits, limits=self.limits)


@dataclass(frozen=True)
class Entry:
    """A name in an open directory in which things may be changed. names: those that are the guest's there."""

    directory: int
    name: bytes
    names: Names

    def require_fitting_target(self, target: bytes) -> None:
        """Raise EPERM if a symbolic link of this name must not have that target: whoever follows it, the host
        too, would get from a name of the guest's to what is not."""
        if self.names != ALL_NAMES:
            parts = [part for part in target.split(b"/") if part not in (b"", b".")]
            if not parts or not parts[0].startswith(self.names):
                raise failure(errno.EPERM)

    def require_fitting(self, other: Entry) -> None:
        """Raise EPERM if another entry is a symbolic link that must not get this name."""
        try:
            status = os.stat(other.name, dir_fd=other.directory, follow_symlinks=False)
            if stat.S_ISLNK(status.st_mode):
                self.require_fitting_target(os.readlink(other.name, dir_fd=other.directory))
        except FileNotFoundError:
            return


@dataclass(frozen=True)
class Place:
    """A guest path, found: `rest` beneath `mount`. Without mount it is above or beside all grants.
    is_directory: the path ends in a slash or dots, so only a directory can be meant. dots: `.` or `..` if
    that is its last name, by which nothing can be made or removed; else nothing."""

    mount: Mount | None
    rest: tuple[bytes, ...]
    parts: tuple[bytes, ...]
    is_directory: bool = False
    dots: bytes = b""

    @property
    def relative(self) -> bytes:
        return b"/".join(self.rest) or b"."

    def granted(self) -> Mount:
        if self.mount is None:
            raise failure(errno.ENOENT)
        return self.mount

    @contextmanager
    def found(self, *, follow: bool) -> Iterator[Found]:
        """What is there, until the block ends. Raises OSError."""
        found = self.granted().find(self.relative, follow=follow or self.is_directory)
        try:
            self.require_kind(found.descriptor)
            yield found
        finally:
            os.close(found.descriptor)

    def require_kind(self, descriptor: int) -> None:
        """Raise ENOTDIR if the path says directory, and this is none."""
        if self.is_directory and not stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise failure(errno.ENOTDIR)

    @contextmanager
    def parent(self, dots: int, makes: str = "") -> Iterator[Entry]:
        """The entry of a place that is to be changed. dots: the error for a path that ends in `.` or `..`,
        and leads to something. makes: a "directory" or a "link" that is to be new. Raises OSError."""
        mount = self.mount
        if mount is None:
            raise failure(errno.EROFS)
        if self.dots:
            with self.found(follow=True):
                raise failure(dots)
        if not self.rest:
            raise failure(errno.EBUSY)
        found = mount.find(b"/".join(self.rest[:-1]) or b".")
        try:
            if not stat.S_ISDIR(os.fstat(found.descriptor).st_mode):
                raise failure(errno.ENOTDIR)
            if not self.rest[-1].startswith(found.names):
                raise failure(errno.EACCES)
            found.require_writable()
            if self.is_directory:
                self._require_fitting(found.descriptor, makes)
            yield Entry(found.descriptor, self.rest[-1], found.names)
        finally:
            os.close(found.descriptor)

    def _require_fitting(self, directory: int, makes: str) -> None:
        """A slash at the end: what is there has to be a directory, and what is new."""
        try:
            status = os.stat(self.rest[-1], dir_fd=directory, follow_symlinks=False)
        except FileNotFoundError:
            if makes == "link":
                raise
            return
        if makes or not stat.S_ISDIR(status.st_mode):
            raise failure(errno.EEXIST if makes else errno.ENOTDIR)


class Namespace:
    """A guest's view of the file system: its grants and its working directory."""

    def __init__(self, directories: Sequence[Directory]) -> None:
        self.parts: tuple[bytes, ...] = ()
        """Of the working directory."""
        self._mounts: list[Mount] = []
        try:
            for number, item in enumerate(directories, 1):
                parts = clean((), os.fsencode(item.guest_path))
                own = _native.Descriptor(os.open(item.host_path, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC))
                limits = Limits(item.read_only, (os.fsencode(item.names),))
                self._mounts.append(Mount(own, parts, limits, number, {}))
        except BaseException:
            self.close()
            raise
        everywhere = _limits(self._mounts)
        if everywhere:
            in_read_only = {here: one for here, one in everywhere.items() if one.has_names}
            self._mounts = [
                replace(mount, limits=in_read_only if mount.read_only else everywhere)
                for mount in self._mounts
            ]
        self._mounts.sort(key=lambda mount: -len(mount.parts))

    def place(self, path: bytes, base: tuple[bytes, ...] | None = None) -> Place:
        """Where a guest path leads; `base` is what it is relative to instead of the working directory."""
        parts = clean(self.parts if base is None else base, path)
        name = path.rstrip(b"/").rpartition(b"/")[2]
        dots = name if name in (b".", b"..") else b""
        is_directory = bool(dots) or path.endswith(b"/")
        for mount in self._mounts:
            length = len(mount.parts)
            if parts[:length] == mount.parts:
                if parts[length:] and not parts[length].startswith(mount.names):
                    continue  # beside the grant, as what every guest has there may be
                return Place(mount, parts[length:], parts, is_directory, dots)
        return Place(None, (), parts, is_directory, dots)

    def for_core(self) -> tuple[tuple[bytes, int, int, bool], ...]:
        """The grants, as the core wants them."""
        return tuple(
            (
                b"".join(b"/" + part for part in mount.parts),
                mount.descriptor,
                mount.number,
                not mount.own_limits.has_names and not mount.limits and walking.has_openat2(),
            )
            for mount in self._mounts
        )

    def is_read_only(self, number: int) -> bool:
        """Whether the grant with this number is."""
        return any(mount.read_only for mount in self._mounts if mount.number == number)

    def names_beneath(self, parts: tuple[bytes, ...]) -> list[bytes]:
        """Next path components of the grants beneath `parts`."""
        length = len(parts)
        return sorted(
            {m.parts[length] for m in self._mounts if m.parts[:length] == parts and len(m.parts) > length}
        )

    def exists_virtually(self, parts: tuple[bytes, ...]) -> bool:
        """Whether this is the root or a directory that exists only because a grant lies beneath it."""
        return not parts or bool(self.names_beneath(parts))

    def require_movable(self, entry: Entry) -> None:
        """Raise EBUSY if an entry is a directory that a grant is, or lies in: its name is not the guest's to
        give to something else. Whoever could move it meanwhile is refused as well."""
        try:
            status = os.stat(entry.name, dir_fd=entry.directory, follow_symlinks=False)
        except FileNotFoundError:
            return
        if stat.S_ISDIR(status.st_mode):
            here = (status.st_dev, status.st_ino)
            if any(here in walking.upwards(mount.descriptor) for mount in self._mounts):
                raise failure(errno.EBUSY)

    def close(self) -> None:
        mounts, self._mounts = self._mounts, []
        for mount in mounts:
            mount.own.close()


def _limits(mounts: Sequence[Mount]) -> dict[Identity, Limits]:
    """Of granted directories that have some. Of one that was granted twice, with some names each, all those
    names may be used."""
    found: dict[Identity, Limits] = {}
    for mount in mounts:
        if mount.own_limits != NO_LIMITS:
            here = identity(mount.descriptor)
            before = found.get(here, NO_LIMITS)
            names = tuple(name for name in (*before.names, *mount.names) if name)
            found[here] = Limits(before.read_only or mount.read_only, names or ALL_NAMES)
    return found


def clean(base: tuple[bytes, ...], path: bytes) -> tuple[bytes, ...]:
    """Absolute components without ".", ".." and empty ones; ".." at the root stays there."""
    parts = [] if path.startswith(b"/") else list(base)
    for part in path.split(b"/"):
        if part == b"..":
            del parts[-1:]
        elif part not in (b"", b"."):
            parts.append(part)
    return tuple(parts)


def reopen(located: int, flags: int) -> int:
    """A usable descriptor of the regular file or directory that an O_PATH descriptor names.

    Nothing else is ever opened: opening a device can act, opening a pipe can hang. Raises EACCES for those,
    and EIO where the host has no /proc to open it through.
    """
    mode = os.fstat(located).st_mode
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
        raise failure(errno.ELOOP if stat.S_ISLNK(mode) else errno.EACCES)
    try:
        return os.open(f"/proc/self/fd/{located}", flags | os.O_CLOEXEC | os.O_NOCTTY | os.O_NONBLOCK)
    except FileNotFoundError:
        raise failure(errno.EIO) from None


def open_file(place: Place, flags: int, mode: int) -> Found:
    """open() beneath a grant: a usable descriptor of a regular file or directory, created if `flags` say so.
    Raises OSError."""
    mount, create, exclusive = place.granted(), flags & os.O_CREAT, flags & os.O_EXCL
    rest = flags & (os.O_ACCMODE | os.O_APPEND | os.O_TRUNC | os.O_DIRECTORY)
    for _ in range(RETRIES):
        if not (create and exclusive):
            try:
                follow = place.is_directory or not flags & os.O_NOFOLLOW
                found = mount.find(place.relative, follow=follow)
            except FileNotFoundError:
                if not create:
                    raise
            else:
                try:
                    if create and place.is_directory and not place.dots:
                        raise failure(errno.EISDIR)
                    place.require_kind(found.descriptor)
                    if found.read_only and writes(flags & ~os.O_CREAT):
                        raise failure(errno.EROFS)
                    return replace(found, descriptor=reopen(found.descriptor, rest))
                finally:
                    os.close(found.descriptor)
        if place.is_directory:
            raise failure(errno.ENOENT if place.dots else errno.EISDIR)
        try:
            with place.parent(errno.EISDIR) as entry:
                # With O_EXCL this makes a regular file or fails; it never opens what is there.
                new = rest & ~os.O_TRUNC | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
                return Found(os.open(entry.name, new, mode, dir_fd=entry.directory), False)
        except FileExistsError:
            if exclusive:
                raise
    raise failure(errno.EEXIST)


def writes(flags: int) -> bool:
    """Whether open() with these flags may change something."""
    return flags & os.O_ACCMODE != os.O_RDONLY or bool(flags & (os.O_CREAT | os.O_TRUNC))
