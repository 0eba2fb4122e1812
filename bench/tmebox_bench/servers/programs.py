"""The servers: how each is built, started, and asked whether it works."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from tmebox_bench.servers import clients, loads
from tmebox_bench.servers.builds import Sources, built
from tmebox_bench.servers.loads import Load

FILE_KB = (1, 4, 16, 64, 256)
JOBS = str(len(os.sched_getaffinity(0)))


@dataclass(frozen=True)
class Server:
    """One server.

    prepare(directory, port, root): write its configuration and data into `directory`, which the server sees
    as `root`. arguments(root, port): of the program. transcript(port): what it answers to a client of ours,
    the same natively and sandboxed. loads: what it is measured with, by name. grants: what of `directory` the
    sandbox gets, as `--dir` options say it, with their rights. files: how many it may open.
    """

    name: str
    version: str
    sources: Sources
    prepare: Callable[[Path, int, str], None]
    arguments: Callable[[str, int], Sequence[str]]
    transcript: Callable[[int], list[bytes]]
    loads: Mapping[str, Load]
    grants: tuple[tuple[str, str], ...]
    memory: str = "256MiB"
    files: int = 512


# -- static files ------------------------------------------------------------------------------------------


def _files(directory: Path) -> None:
    """Incompressible, and the same in every run."""
    html = directory / "html"
    html.mkdir(parents=True, exist_ok=True)
    (directory / "logs").mkdir(exist_ok=True)
    (directory / "conf").mkdir(exist_ok=True)
    state = 1
    data = bytearray()
    while len(data) < FILE_KB[-1] << 10:
        state = (state * 6364136223846793005 + 1442695040888963407) % (1 << 64)
        data += state.to_bytes(8, "little")
    for size in FILE_KB:
        (html / f"{size}.bin").write_bytes(data[: size << 10])


FILE_NAMES = tuple(f"/{size}.bin" for size in FILE_KB)
FILE_LOADS = {f"{size} KB": loads.Wrk(f"/{size}.bin") for size in FILE_KB}
FILE_GRANTS = (("conf", "ro"), ("html", "ro"), ("logs", "rw"))


def _files_transcript(port: int) -> list[bytes]:
    return clients.files(port, [*FILE_NAMES, "/missing"])


# -- nginx -------------------------------------------------------------------------------------------------

NGINX_CONFIGURATION = """\
master_process off;
daemon off;
error_log stderr error;
pid logs/nginx.pid;
events {{ worker_connections 256; }}
http {{
  access_log off;
  sendfile on;
  keepalive_requests 1000000000;
  default_type application/octet-stream;
  client_body_temp_path logs/body;
  proxy_temp_path logs/proxy;
  fastcgi_temp_path logs/fastcgi;
  uwsgi_temp_path logs/uwsgi;
  scgi_temp_path logs/scgi;
  server {{ listen 127.0.0.1:{port}; root {root}/html; }}
}}
"""


def _nginx_steps(tree: Path, compiler: str, kind: str) -> Sequence[tuple[Path, Sequence[str]]]:
    """Without the modules that need other libraries. musl's macros compare signed with unsigned."""
    options = [
        f"--with-cc={compiler}",
        "--with-cc-opt=-O2 -Wno-sign-compare",
        "--without-http_rewrite_module",
        "--without-http_gzip_module",
    ]
    return [(tree, ["./configure", *options]), (tree, ["make", f"-j{JOBS}"])]


def _prepare_nginx(directory: Path, port: int, root: str) -> None:
    _files(directory)
    (directory / "conf" / "nginx.conf").write_text(NGINX_CONFIGURATION.format(port=port, root=root))


NGINX = Server(
    "nginx",
    "1.22",
    Sources("nginx", "objs/nginx", _nginx_steps),
    _prepare_nginx,
    lambda root, port: ["-p", root, "-c", "conf/nginx.conf"],
    _files_transcript,
    FILE_LOADS,
    FILE_GRANTS,
)


# -- Lighttpd ----------------------------------------------------------------------------------------------

LIGHTTPD_CONFIGURATION = """\
server.document-root = "{root}/html"
server.bind = "127.0.0.1"
server.port = {port}
server.event-handler = "linux-sysepoll"
server.network-backend = "sendfile"
server.max-keep-alive-requests = 30000
server.errorlog = "{root}/logs/error.log"
server.upload-dirs = ( "{root}/logs" )
mimetype.assign = ( "" => "application/octet-stream" )
"""
NO_AUTOTOOLS = tuple(f"{name}=true" for name in ("ACLOCAL", "AUTOMAKE", "AUTOCONF", "AUTOHEADER"))


def _lighttpd_steps(tree: Path, compiler: str, kind: str) -> Sequence[tuple[Path, Sequence[str]]]:
    """Static, since modules are loaded otherwise; without what needs other libraries. Only where there is a
    sendfile64() does Lighttpd use sendfile(). musl has one function, for 64 bits, by the name without."""
    options = ["--disable-shared", "--enable-static", "--disable-dependency-tracking"]
    options += [f"--without-{name}" for name in ("pcre", "pcre2", "zlib", "zstd", "bzip2", "brotli")]
    variables = [
        "LIGHTTPD_STATIC=yes",
        f"CC={compiler}",
        "CFLAGS=-O2",
        "MAKEFLAGS=",
        "ac_cv_func_sendfile64=yes",
    ]
    return [
        (tree, ["env", *variables, "./configure", *options]),
        (tree / "src", ["make", *NO_AUTOTOOLS, "versionstamp"]),
        (tree / "src", ["make", f"-j{JOBS}", *NO_AUTOTOOLS, "lighttpd"]),
    ]


def _prepare_lighttpd(directory: Path, port: int, root: str) -> None:
    _files(directory)
    text = LIGHTTPD_CONFIGURATION.format(port=port, root=root)
    (directory / "conf" / "lighttpd.conf").write_text(text)


LIGHTTPD = Server(
    "lighttpd",
    "1.4",
    Sources(
        "lighttpd",
        "src/lighttpd",
        _lighttpd_steps,
        (
            (Path(__file__).parent / "lighttpd_modules.h", "src/plugin-static.h"),
            (Path(__file__).parent / "queue.h", "src/sys/queue.h"),
        ),
    ),
    _prepare_lighttpd,
    lambda root, port: ["-D", "-f", f"{root}/conf/lighttpd.conf"],
    _files_transcript,
    FILE_LOADS,
    FILE_GRANTS,
)


# -- Redis -------------------------------------------------------------------------------------------------


def _redis_steps(tree: Path, compiler: str, kind: str) -> Sequence[tuple[Path, Sequence[str]]]:
    variables = [f"CC={compiler}", "MALLOC=libc", "USE_SYSTEMD=no"]
    return [(tree / "src", ["make", f"-j{JOBS}", *variables, "redis-server"])]


def _prepare_redis(directory: Path, port: int, root: str) -> None:
    (directory / "data").mkdir(parents=True, exist_ok=True)


REDIS = Server(
    "redis",
    "7.0",
    Sources(
        "redis",
        "src/redis-server",
        _redis_steps,
    ),
    _prepare_redis,
    lambda root, port: [
        *("--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"),
        *("--dir", f"{root}/data", "--loglevel", "warning"),
    ],
    clients.redis,
    {
        f"{command} x{depth}": loads.RedisBenchmark(command, depth)
        for command in ("GET", "SET", "LPUSH", "MSET")
        for depth in (1, 16)
    },
    (("data", "rw"),),
    memory="512MiB",
)


# -- echo --------------------------------------------------------------------------------------------------
HERE = Path(__file__).parent


def _own(name: str) -> Sources:
    """A C file of this folder."""

    def steps(tree: Path, compiler: str, kind: str) -> Sequence[tuple[Path, Sequence[str]]]:
        return [(tree, [compiler, "-O2", f"{name}.c", "-o", name])]

    return Sources(name, name, steps, ((HERE / f"{name}.c", f"{name}.c"),), own=True)


ECHO = Server(
    "echo",
    "",
    _own("echo"),
    lambda directory, port, root: directory.mkdir(parents=True, exist_ok=True),
    lambda root, port: [str(port)],
    clients.echo,
    {f"{size} B": loads.Echo(size, partial(built, _own("echo_load"), "native")) for size in (64, 4096)},
    (),
)

SERVERS = {server.name: server for server in (NGINX, LIGHTTPD, REDIS, ECHO)}
