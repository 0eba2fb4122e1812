"""What a guest can name: granted directories and nothing else, however it asks."""

from __future__ import annotations

import errno
import os
import struct
import threading
from pathlib import Path

import pytest

from tests import descriptors
from tests.runtime.system.guest_side import Guest, succeed
from tmebox.runtime.system import Directory, System, walking

O_CREAT, O_EXCL, O_TRUNC, O_WRONLY, O_RDWR = os.O_CREAT, os.O_EXCL, os.O_TRUNC, os.O_WRONLY, os.O_RDWR
SECRET = b"the host's secret"


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    """A directory next to the granted one, with a secret."""
    directory = tmp_path / "outside"
    directory.mkdir()
    (directory / "secret").write_bytes(SECRET)
    return directory


@pytest.fixture
def granted(tmp_path: Path) -> Path:
    directory = tmp_path / "granted"
    (directory / "sub").mkdir(parents=True)
    (directory / "file").write_bytes(b"granted")
    (directory / "sub" / "deep").write_bytes(b"deep")
    return directory


@pytest.fixture(params=["openat2", "walk"])
def guest(
    granted: Path, outside: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> Guest:
    """With the kernel's resolution, and with the walk for kernels that lack it."""
    if request.param == "walk":
        monkeypatch.setattr(walking, "has_openat2", lambda: False)
    elif not walking.has_openat2():
        pytest.skip("this kernel has no openat2")
    return Guest(System(directories=[Directory(granted, "/data")]))


def test_files_of_a_granted_directory_are_there_under_its_guest_path(guest: Guest) -> None:
    assert guest.contents("/data/file") == b"granted"
    assert guest.contents("/data/sub/deep") == b"deep"
    assert guest.contents("/data//sub/./../sub//deep") == b"deep"


@pytest.mark.parametrize(
    "path",
    [
        "/etc/shadow",
        "/proc/self/environ",
        "/data/../outside/secret",
        "/data/sub/../../outside/secret",
        "/../../../../etc/shadow",
        "../outside/secret",
        "/datafile",
        "/data2/file",
        "/data/file\n",
    ],
)
def test_everything_else_does_not_exist(guest: Guest, path: str) -> None:
    assert guest.open(path) == -errno.ENOENT
    assert guest.open(path, O_WRONLY | O_CREAT) in (-errno.ENOENT, 3)


@pytest.mark.parametrize("target", ["../outside/secret", "{outside}/secret", "sub/../../outside/secret"])
@pytest.mark.parametrize(
    "flags", [0, O_RDWR, O_WRONLY | O_TRUNC, O_WRONLY | O_CREAT, O_WRONLY | O_CREAT | O_TRUNC]
)
def test_symbolic_links_do_not_lead_out(
    guest: Guest, granted: Path, outside: Path, target: str, flags: int
) -> None:
    (granted / "link").symlink_to(target.format(outside=outside))
    assert guest.open("/data/link", flags) in (-errno.EACCES, -errno.ELOOP)
    assert (outside / "secret").read_bytes() == SECRET


def test_a_linked_directory_outside_is_no_way_out_for_any_call(
    guest: Guest, granted: Path, outside: Path
) -> None:
    (granted / "way").symlink_to(outside)
    refusals = {-errno.EACCES, -errno.ELOOP, -errno.ENOTDIR, -errno.EXDEV}
    result = guest.room(200)
    for call in (
        ("open", "/data/way/secret", 0),
        ("open", "/data/way/new", O_CREAT | O_WRONLY, 0o644),
        ("open", "/data/way/new", O_CREAT | O_EXCL | O_WRONLY, 0o644),
        ("stat", "/data/way/secret", result),
        ("lstat", "/data/way/secret", result),
        ("access", "/data/way/secret", 4),
        ("unlink", "/data/way/secret"),
        ("mkdir", "/data/way/new", 0o755),
        ("rmdir", "/data/way/new"),
        ("rename", "/data/way/secret", "/data/taken"),
        ("rename", "/data/file", "/data/way/file"),
        ("truncate", "/data/way/secret", 0),
        ("chmod", "/data/way/secret", 0o777),
        ("chdir", "/data/way"),
        ("readlink", "/data/way/secret", result, 100),
        ("utimensat", -100, "/data/way/secret", 0, 0),
    ):
        assert guest(*call) in refusals, call
    assert sorted(os.listdir(outside)) == ["secret"]
    assert (outside / "secret").read_bytes() == SECRET
    assert (granted / "file").exists()


def test_symbolic_links_that_stay_inside_are_followed(guest: Guest, granted: Path) -> None:
    (granted / "sub" / "up").symlink_to("../file")
    assert guest.contents("/data/sub/up") == b"granted"
    (granted / "way").symlink_to("sub/.")
    (granted / "sub" / "chain").symlink_to("../way//../sub/./up")
    assert guest.contents("/data/way/deep") == b"deep" and guest.contents("/data/way/chain") == b"granted"
    for name, target, expected in (
        ("round", "round", errno.ELOOP),
        ("behind", "file/../file", errno.ENOTDIR),
        ("slash", "file/", errno.ENOTDIR),
        ("dangling", "nowhere", errno.ENOENT),
    ):
        (granted / name).symlink_to(target)
        assert guest.open(f"/data/{name}") == -expected, name
    room = guest.room(100)
    assert guest("readlink", "/data/sub/up", room, 100) == len("../file")
    assert guest.memory.read(room, 7) == b"../file"
    assert guest.stat("/data/sub/up", "lstat")["mode"] & 0o170000 == 0o120000


def test_a_guest_cannot_make_devices_or_pipes(guest: Guest) -> None:
    for number in (133, 259):  # mknod mknodat
        assert guest.system.handle(guest.memory, number, (0,) * 6) == -errno.ENOSYS


def test_a_link_is_another_name_of_the_same_file(guest: Guest, granted: Path) -> None:
    assert guest("link", "/data/file", "/data/sub/again") == 0
    assert (granted / "file").samefile(granted / "sub" / "again")
    assert guest("link", "/data/file", "/data/sub/again") == -errno.EEXIST
    assert guest("link", "/data/sub", "/data/other") == -errno.EPERM
    assert guest("linkat", -100, "/data/file", -100, "/data/x", 0x400) == -errno.EINVAL


@pytest.mark.parametrize("target", ["/etc/shadow", "..", "../x", "sub/../../x", "/data/file"])
def test_a_symbolic_link_that_may_lead_out_is_refused(guest: Guest, granted: Path, target: str) -> None:
    assert guest("symlink", target, "/data/sub/link") == -errno.EPERM
    assert not os.path.lexists(granted / "sub" / "link")


def test_a_symbolic_link_leads_below_its_own_directory(guest: Guest, granted: Path) -> None:
    assert guest("symlink", "sub/new", "/data/link") == 0
    assert os.readlink(granted / "link") == "sub/new"
    (granted / "sub" / "new").write_bytes(b"there")
    assert guest.open("/data/link") >= 3


def test_a_path_that_ends_in_a_slash_means_a_directory(guest: Guest, granted: Path) -> None:
    for call in ("stat", "lstat"):
        assert guest(call, "/data/file/", guest.room(256)) == -errno.ENOTDIR
        assert guest(call, "/data/sub/", guest.room(256)) == 0
    assert guest.open("/data/file/") == guest.open("/data/file/.") == -errno.ENOTDIR
    assert guest.open("/data/none/", O_WRONLY | O_CREAT) == -errno.EISDIR
    assert guest("unlink", "/data/file/") == guest("rename", "/data/file/", "/data/x") == -errno.ENOTDIR
    assert guest("mkdir", "/data/made/", 0o755) == 0 and (granted / "made").is_dir()
    assert guest("rmdir", "/data/made/") == 0


def test_a_grant_of_the_root_hides_no_device(granted: Path) -> None:
    guest = Guest(System(directories=[Directory(granted, "/")]))
    assert guest.open("/dev/null", O_RDWR) >= 3
    assert guest("stat", "/dev/urandom", guest.room(256)) == 0
    assert guest("access", "/dev/zero", 4) == 0
    assert guest.open("/file") >= 3


def test_statfs_tells_how_much_room_a_grant_has(guest: Guest, granted: Path) -> None:
    space = guest.room(256)
    assert guest("statfs", "/data/sub", space) == 0
    _, block, blocks = struct.unpack_from("<3q", guest.memory.read(space, 24))
    assert (block, blocks) == (os.statvfs(granted).f_bsize, os.statvfs(granted).f_blocks)
    assert guest("statfs", "/", space) == 0
    assert struct.unpack_from("<3q", guest.memory.read(space, 24))[2] == 0
    assert guest("fstatfs", guest.open("/data/file"), guest.room(256)) == 0
    assert guest("statfs", "/none", guest.room(256)) == -errno.ENOENT


def test_pipes_and_devices_in_a_granted_directory_are_refused_without_opening_them(
    guest: Guest, granted: Path
) -> None:
    os.mkfifo(granted / "pipe")
    for flags in (0, O_WRONLY, O_RDWR, O_RDWR | O_CREAT, O_WRONLY | O_TRUNC | O_CREAT):
        assert guest.open("/data/pipe", flags) == -errno.EACCES
    assert guest.open("/data/pipe", O_WRONLY | O_CREAT | O_EXCL) == -errno.EEXIST
    if os.geteuid() == 0:
        try:
            os.mknod(granted / "null", 0o020666, os.makedev(1, 3))
        except PermissionError:
            return
        assert guest.open("/data/null") == -errno.EACCES


def test_a_read_only_grant_can_be_read_and_not_changed(granted: Path) -> None:
    guest = Guest(System(directories=[Directory(granted, "/data", read_only=True)]))
    before = sorted(os.listdir(granted))
    assert guest.contents("/data/file") == b"granted"
    for flags in (O_WRONLY, O_RDWR, O_TRUNC, O_RDWR | O_CREAT, O_CREAT | O_EXCL):
        assert guest.open("/data/file", flags) == -errno.EROFS
    assert guest.open("/data/new", O_CREAT) == -errno.ENOENT
    for call in (
        ("open", "/data/new", O_CREAT | O_WRONLY, 0o644),
        ("mkdir", "/data/new", 0o755),
        ("unlink", "/data/file"),
        ("rmdir", "/data/sub"),
        ("rename", "/data/file", "/data/new"),
        ("truncate", "/data/file", 0),
        ("chmod", "/data/file", 0o600),
        ("access", "/data/file", os.W_OK),
        ("utimensat", -100, "/data/file", 0, 0),
    ):
        assert guest(*call) == -errno.EROFS, call
    descriptor = succeed(guest.open("/data/file"))
    assert guest.write(descriptor, b"x") == -errno.EBADF
    assert guest("ftruncate", descriptor, 0) == -errno.EINVAL
    assert guest("fchmod", descriptor, 0o777) == -errno.EROFS
    assert sorted(os.listdir(granted)) == before and (granted / "file").read_bytes() == b"granted"


def test_relative_paths_follow_a_directory_that_is_renamed(guest: Guest, granted: Path) -> None:
    """And do not lead to what has its name now."""
    (granted / "sub" / "inner").mkdir()
    (granted / "sub" / "inner" / "deeper").write_bytes(b"deeper")
    directory, inner = succeed(guest.open("/data/sub")), succeed(guest.open("/data/sub/inner"))
    again, other = guest("dup", directory), succeed(guest.open("/data"))
    assert guest("chdir", "/data/sub/inner") == 0
    assert guest("rename", "/data/sub", "/data/moved") == 0
    (granted / "sub" / "inner").mkdir(parents=True)
    for name in ("deep", "inner/deeper"):
        (granted / "sub" / name).write_bytes(b"another's")
    for number, name, contents in (
        (directory, "deep", b"deep"), (again, "inner/deeper", b"deeper"), (inner, "deeper", b"deeper"),
        (inner, "../deep", b"deep"), (other, "sub/deep", b"another's"), (-100, "deeper", b"deeper"),
    ):  # fmt: skip
        assert guest.read(succeed(guest("openat", number, name, 0, 0))) == contents
    buffer = guest.room(100)
    size = succeed(guest("getcwd", buffer, 100))
    assert guest.memory.read(buffer, size) == b"/data/moved/inner\0"
    assert guest("renameat", inner, "deeper", directory, "back") == 0
    assert (granted / "moved" / "back").read_bytes() == b"deeper"
    assert guest("openat", inner, "../../../outside/secret", 0, 0) < 0


def test_no_directory_in_use_gets_a_path_that_is_too_long(guest: Guest, granted: Path) -> None:
    deep = "/".join(["x" * 200] * 11)
    for name in ("one", "two"):
        (granted / name / deep).mkdir(parents=True)
    directory = succeed(guest.open(f"/data/one/{deep}"))
    assert guest("rename", "/data/one", f"/data/two/{deep}/one") == -errno.ENAMETOOLONG
    assert (granted / "one" / deep).is_dir()
    assert guest("close", directory) == 0
    assert guest("rename", "/data/one", f"/data/two/{deep}/one") == 0
    assert guest("rename", f"/data/two/{deep}/one", "/data/one") == 0


def test_the_longest_grant_decides_and_renaming_across_grants_is_refused(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").write_text(name)
    grants = [Directory(tmp_path / "a", "/"), Directory(tmp_path / "b", "/inner", read_only=True)]
    guest = Guest(System(directories=grants))
    assert guest.contents("/file") == b"a" and guest.contents("/inner/file") == b"b"
    assert guest("rename", "/file", "/inner/new") == -errno.EXDEV
    assert guest.open("/inner/new", O_CREAT | O_WRONLY) == -errno.EROFS
    assert guest.contents("/inner/../file") == b"a"


def test_directories_above_grants_can_be_listed_and_hold_only_them(granted: Path) -> None:
    guest = Guest(System(directories=[Directory(granted, "/home/user"), Directory(granted, "/data", True)]))
    assert guest.names("/") == [".", "..", "data", "home"]
    assert guest.names("/home") == [".", "..", "user"]
    assert sorted(guest.names("/home/user")) == [".", "..", "file", "sub"]
    assert guest.stat("/home")["mode"] & 0o170000 == 0o040000
    assert guest("mkdir", "/home", 0o755) == -errno.EEXIST
    assert guest("mkdir", "/other", 0o755) == -errno.EROFS
    assert guest("unlink", "/home/user") == -errno.EBUSY
    assert guest("rmdir", "/data") in (-errno.EBUSY, -errno.EROFS)


def test_relative_paths_start_at_the_working_directory(guest: Guest) -> None:
    buffer = guest.room(64)
    assert guest("getcwd", buffer, 64) == 2 and guest.memory.read(buffer, 2) == b"/\0"
    assert guest("chdir", "/data/sub") == 0
    assert guest("getcwd", buffer, 64) == 10 and guest.memory.read(buffer, 10) == b"/data/sub\0"
    assert guest("getcwd", buffer, 5) == -errno.ERANGE
    assert guest.contents("deep") == b"deep" and guest.contents("../file") == b"granted"
    assert guest("chdir", "deep") == -errno.ENOTDIR and guest("chdir", "none") == -errno.ENOENT
    directory = succeed(guest.open("/data"))
    assert succeed(guest("openat", directory, "file", 0, 0)) > directory
    assert guest("openat", directory, "../outside/secret", 0, 0) == -errno.ENOENT
    assert guest("fchdir", directory) == 0 and guest.contents("file") == b"granted"
    assert guest("openat", 0, "file", 0, 0) == -errno.ENOTDIR
    assert guest("openat", 99, "file", 0, 0) == -errno.EBADF


def test_swapping_a_directory_for_a_link_meanwhile_never_leads_out(
    guest: Guest, granted: Path, outside: Path
) -> None:
    """Another process plays the oldest trick while the guest opens."""
    (granted / "way").mkdir()
    (granted / "way" / "secret").write_bytes(b"harmless")
    stop = threading.Event()

    def swap() -> None:
        os.symlink(outside, granted / "evil")
        while not stop.is_set():
            os.rename(granted / "way", granted / "aside")
            os.rename(granted / "evil", granted / "way")
            os.rename(granted / "way", granted / "evil")
            os.rename(granted / "aside", granted / "way")

    swapper = threading.Thread(target=swap)
    swapper.start()
    try:
        opened = attempts = 0
        while attempts < 2000 or (not opened and attempts < 200_000):  # meeting it is luck
            attempts += 1
            descriptor = guest.open("/data/way/secret")
            if descriptor >= 0:
                opened += 1
                assert guest.read(descriptor) == b"harmless"
                guest("close", descriptor)
    finally:
        stop.set()
        swapper.join()
    assert opened


def test_new_files_have_permission_bits_only_and_obey_the_umask(guest: Guest, granted: Path) -> None:
    assert guest("umask", 0o077) == 0o022
    succeed(guest.open("/data/new", O_CREAT | O_WRONLY, 0o6777))
    assert (granted / "new").stat().st_mode & 0o7777 == 0o700
    assert guest("chmod", "/data/new", 0o6755) == 0
    assert (granted / "new").stat().st_mode & 0o7777 == 0o755
    assert guest("mkdir", "/data/dir", 0o7777) == 0
    assert (granted / "dir").stat().st_mode & 0o7777 == 0o700


def test_a_missing_directory_is_an_error_when_it_is_granted(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        System(directories=[Directory(tmp_path / "none", "/data")])
    with pytest.raises(NotADirectoryError):
        System(directories=[Directory(__file__, "/data")])


def test_the_host_leaks_no_descriptors(granted: Path) -> None:
    before = descriptors.settled_count()
    guest = Guest(System(directories=[Directory(granted, "/data")]))
    for _ in range(5):
        for path in ("/data/file", "/data/sub", "/data/none", "/etc/shadow"):
            guest.open(path)
            guest("access", path, 0)
            guest("rename", path, "/data/none/x")
    guest.system.close()
    guest.system.close()
    assert descriptors.count() == before
