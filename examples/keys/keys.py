"""python examples/keys/keys.py: a private key in a sandbox of its own, beside a parser that reads too far.

The parser has the defect that Heartbleed was: it sends back as many bytes as the request claims to have. With
the key in the same memory, a request gets it. With parser and key in sandboxes of their own, the parser still
leaks, but only what is the parser's.
"""

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np

import tmebox

HERE = Path(__file__).parent
LONGEST = 0xFFFF
Server = Callable[[bytes], bytes]


def request(kind: bytes, payload: bytes, claimed: int | None = None) -> bytes:
    size = len(payload) if claimed is None else claimed
    return kind + size.to_bytes(2, "big") + payload


def server(parser: tmebox.Sandbox, signer: tmebox.Sandbox) -> Server:
    """Answers one request: what the parser makes of it, or the signer's signature of that."""
    kind, out = parser.array(1, np.uint8), parser.array(LONGEST, np.uint8)

    def answer(asked: bytes) -> bytes:
        size = parser.parse(asked, len(asked), kind, out)
        payload = out[: max(size, 0)].tobytes()
        if bytes(kind) != b"S":
            return payload
        return int(signer.sign(payload, len(payload))).to_bytes(8, "little")

    return answer


def together(key: bytes) -> tuple[tmebox.Sandbox, Server]:
    """Parser and key in one memory, as in one process."""
    box = tmebox.Sandbox(tmebox.compile([HERE / "parser.c", HERE / "signer.c"]), timeout=5.0)
    box.set_key(key)
    return box, server(box, box)


def apart(key: bytes) -> tuple[tmebox.Sandbox, tmebox.Sandbox, Server]:
    parser = tmebox.Sandbox(tmebox.compile(HERE / "parser.c"), timeout=5.0)
    signer = tmebox.Sandbox(tmebox.compile(HERE / "signer.c"), timeout=5.0)
    signer.set_key(key)
    return parser, signer, server(parser, signer)


def leaked(ask: Server) -> bytes:
    """All that heartbeats get: a request of one byte that claims to have any number of them."""
    return b"".join(ask(request(b"H", b"x", claimed)) for claimed in (100, 1000, 16000, LONGEST))


def main() -> None:
    key = os.urandom(16)
    _, ask = together(key)
    print("in one memory:  the key leaks:", key in leaked(ask))
    _, _, ask = apart(key)
    signature = ask(request(b"S", b"a message"))
    print("in two:         the key leaks:", key in leaked(ask), " signatures work:", signature.hex())


if __name__ == "__main__":
    main()
