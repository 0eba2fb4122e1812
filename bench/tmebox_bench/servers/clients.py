"""Clients of ours, which ask a server for what it must answer alike natively and sandboxed."""

from __future__ import annotations

import http.client
import socket
from collections.abc import Sequence

TIMEOUT_S = 10.0


def file(port: int, path: str) -> bytes:
    """Status and body of a GET."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=TIMEOUT_S)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return b"%d %b" % (answer.status, answer.read())
    finally:
        connection.close()


def files(port: int, paths: Sequence[str]) -> list[bytes]:
    """Each path alone, then all of them, sent at once on one connection that ends after the last."""
    alone = [file(port, path) for path in paths]
    lines = [f"GET {path} HTTP/1.1\r\nHost: x\r\n" for path in paths]
    lines[-1] += "Connection: close\r\n"
    with socket.create_connection(("127.0.0.1", port), TIMEOUT_S) as connection:
        connection.sendall("\r\n".join([*lines, ""]).encode())
        stream = b"".join(iter(lambda: connection.recv(1 << 16), b""))
    kept = [
        line for line in stream.split(b"\r\n") if not line.startswith((b"Date:", b"Last-Modified:", b"ETag:"))
    ]
    return [*alone, b"\r\n".join(kept)]


def echo(port: int) -> list[bytes]:
    """What comes back of a byte, and of more than a buffer."""
    answers = []
    for size in (1, 100_000):
        with socket.create_connection(("127.0.0.1", port), TIMEOUT_S) as connection:
            connection.sendall(b"e" * size)
            connection.shutdown(socket.SHUT_WR)
            answers.append(b"".join(iter(lambda: connection.recv(1 << 16), b"")))
    return answers


def command(*words: bytes) -> bytes:
    """A command of Redis's protocol."""
    return b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%b\r\n" % (len(word), word) for word in words)


BIG = b"x" * 200_000
COMMANDS: tuple[tuple[bytes, ...], ...] = (
    (b"PING",),
    (b"FLUSHALL",),
    (b"SET", b"a", b"1"),
    (b"GET", b"a"),
    (b"INCRBY", b"a", b"41"),
    (b"APPEND", b"a", b"!"),
    (b"INCR", b"a"),
    (b"GETSET", b"a", b"\0\r\n\xff"),
    (b"STRLEN", b"a"),
    (b"SET", b"big", BIG),
    (b"GET", b"big"),
    (b"GETRANGE", b"big", b"0", b"9"),
    (b"MSET", b"b", b"2", b"c", b"3"),
    (b"MGET", b"a", b"b", b"none", b"c"),
    (b"LPUSH", b"list", b"one", b"two", b"three"),
    (b"LRANGE", b"list", b"0", b"-1"),
    (b"RPOP", b"list"),
    (b"LPUSH", b"a", b"wrong kind"),
    (b"SADD", b"set", b"m", b"m", b"n"),
    (b"SCARD", b"set"),
    (b"HSET", b"hash", b"f", b"1", b"g", b"2"),
    (b"HINCRBYFLOAT", b"hash", b"f", b"1.5"),
    (b"ZADD", b"zset", b"1", b"x", b"0.5", b"y", b"inf", b"z"),
    (b"ZRANGE", b"zset", b"0", b"-1", b"WITHSCORES"),
    (b"SETBIT", b"bits", b"1000", b"1"),
    (b"BITCOUNT", b"bits"),
    (b"PFADD", b"log", b"a", b"b"),
    (b"PFCOUNT", b"log"),
    (b"XADD", b"stream", b"1-1", b"k", b"v"),
    (b"XRANGE", b"stream", b"-", b"+"),
    (b"GEOADD", b"geo", b"13.361389", b"38.115556", b"p", b"15.087269", b"37.502669", b"q"),
    (b"GEODIST", b"geo", b"p", b"q"),
    (b"MULTI",),
    (b"INCR", b"b"),
    (b"INCR", b"c"),
    (b"EXEC",),
    (b"EVAL", b"local s = 0 for i = 1, 1000 do s = s + i end return {s, KEYS[1]}", b"1", b"k"),
    (b"EVAL", b"return redis.call('nothing')", b"0"),
    (b"EXPIRE", b"b", b"100"),
    (b"TTL", b"b"),
    (b"UNLINK", b"big"),
    (b"EXISTS", b"big"),
    (b"SORT", b"list", b"ALPHA", b"DESC"),
    (b"OBJECT", b"ENCODING", b"zset"),
    (b"NOSUCH", b"command"),
    (b"DBSIZE",),
    (b"ECHO", b"end"),
)
"""One command of each kind, wrong ones too. Their answers depend on nothing but what came before."""


def redis(port: int) -> list[bytes]:
    """The answer to each command, asked one by one, then to all of them in one piece; and to a broken one."""
    answers = []
    with socket.create_connection(("127.0.0.1", port), TIMEOUT_S) as connection:
        stream = connection.makefile("rb")
        for words in COMMANDS:
            connection.sendall(command(*words))
            answers.append(reply(stream))
    with socket.create_connection(("127.0.0.1", port), TIMEOUT_S) as connection:
        connection.sendall(b"".join(command(*words) for words in COMMANDS) + b"*1\r\n$x\r\n")
        answers.append(b"".join(iter(lambda: connection.recv(1 << 16), b"")))
    return answers


def reply(stream: object) -> bytes:
    """One reply of Redis's protocol, as it came. Raises EOFError."""
    line: bytes = stream.readline()  # type: ignore[attr-defined]
    if not line:
        raise EOFError("the server closed the connection")
    if line[:1] == b"$" and line != b"$-1\r\n":
        return line + stream.read(int(line[1:]) + 2)  # type: ignore[attr-defined]
    if line[:1] == b"*" and line != b"*-1\r\n":
        return line + b"".join(reply(stream) for _ in range(int(line[1:])))
    return line
