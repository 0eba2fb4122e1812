"""NGINX, Lighttpd, Redis and an echo server answer sandboxed as they do natively: `make servers`.

Their own test suites start servers by fork and exec, in Perl and Tcl, so that our clients stand in for them.
"""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tmebox_bench.debian import SourcesUnavailableError
from tmebox_bench.processors import output_on_last
from tmebox_bench.servers import loads, measure
from tmebox_bench.servers.builds import KINDS, built
from tmebox_bench.servers.clients import COMMANDS, command, reply
from tmebox_bench.servers.programs import REDIS, SERVERS, Server

pytestmark = [pytest.mark.servers, pytest.mark.network]
LOADS_S = (0.5, 4.0, 16.0)
"""How long a load runs, and how long once more where nobody was answered: the machine may do much else."""


@contextmanager
def both(server: Server) -> Iterator[dict[str, measure.Started]]:
    try:
        programs = {kind: built(server.sources, kind) for kind in KINDS}
    except SourcesUnavailableError as error:
        pytest.skip(str(error))
    with measure.running(server, programs) as started:
        yield started


def answered(load: loads.Load, port: int) -> int:
    """How many requests, without a single error, in the first run in which there are any."""

    def requests(seconds: float) -> int:
        job = load.job(port, seconds, seconds)
        return job.read(output_on_last(job.command, seconds * 20 + 30)).requests

    return next(filter(None, map(requests, LOADS_S)), 0)


@pytest.mark.parametrize("name", SERVERS)
def test_a_server_answers_as_it_does_natively_and_stands_load(name: str) -> None:
    server = SERVERS[name]
    with both(server) as started:
        native, sandboxed = (server.transcript(started[kind].port) for kind in KINDS)
        assert sandboxed == native and any(native)
        for load in server.loads.values():
            if not loads.missing(load):
                assert answered(load, started["sandboxed"].port) > 0
        assert server.transcript(started["sandboxed"].port) == native


def test_redis_answers_a_thousand_commands_on_twenty_connections() -> None:
    with both(REDIS) as started:
        answers = []
        for kind in KINDS:
            streams = []
            for number in range(20):
                connection = socket.create_connection(("127.0.0.1", started[kind].port), 10.0)
                connection.sendall(command(b"SELECT", b"%d" % (number % 16)))
                streams.append((connection, connection.makefile("rb")))
            found = [reply(stream) for _, stream in streams]
            for words in COMMANDS:
                for connection, stream in streams[:16]:
                    connection.sendall(command(*words))
                    found.append(reply(stream))
            answers.append(found)
            for connection, stream in streams:
                stream.close()
                connection.close()
        assert answers[0] == answers[1] and len(answers[0]) > 700


def test_ctrl_c_ends_a_server_and_says_what_it_asked_for() -> None:
    server = SERVERS["echo"]
    program = built(server.sources, "sandboxed")
    port = measure._free_port()
    words = [sys.executable, "-m", "tmebox", "run", "--calls", "--listen", f"127.0.0.1:{port}"]
    with subprocess.Popen([*words, program, str(port)], stderr=subprocess.PIPE) as running:
        client = None
        while client is None:
            assert running.poll() is None
            try:
                client = socket.create_connection(("127.0.0.1", port), 1.0)
            except OSError:
                continue
        with client:
            for _ in range(50):
                client.sendall(b"x")
                assert client.recv(1) == b"x"
        running.send_signal(signal.SIGINT)
        said = running.communicate(timeout=30)[1].decode()
    lines = [line for line in said.splitlines() if line.startswith("call: write: 50 times, 50 by the core")]
    assert lines, said
