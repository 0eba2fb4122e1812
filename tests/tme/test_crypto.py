"""The cryptography: known answers, and both implementations against each other, on every path of this CPU."""

from __future__ import annotations

import hashlib
import random

import pytest

from tmebox import _native as native
from tmebox import tme

PATHS = [name for name, usable in native.tme_paths()]

# NIST CAVP, XTSGenAES128, format "data unit sequence number": key, number, plain text, cipher text.
NIST_XTS = (
    (
        "a3e40d5bd4b6bbedb2d18c700ad2db22" + "10c81190646d673cbca53f133eab373c",
        141,
        "20e0719405993f09a66ae5bb500e562c",
        "74623551210216ac926b9650b6d3fa52",
    ),
    (
        "8b737d182017a79a613929b07b70e80e" + "74235daab3f4d3d55ef4d52adbc44e06",
        99,
        "895bf08d41b28798be0f576fdb03b710",
        "66322199dd397609231cb3e9495f992e",
    ),
    (
        "3970cbb4b09a50f428890024876607d0" + "4f9b3621728d8a67549f74aa082d58ef",
        41,
        "18147bb2a205974d1efd386885b24797",
        "b91a3884ffd4e6151c5aaaaecb5fa9ff",
    ),
)
# IEEE 1619-2007, annex B, which SP 800-38E refers to: vectors 1, 2, 3, 4 and 10.
IEEE_XTS = (
    (
        "00" * 32,
        0,
        "00" * 32,
        "917cf69ebd68b2ec9b9fe9a3eadda692cd43d2f59598ed858c02c2652fbf922e",
    ),
    (
        "11" * 16 + "22" * 16,
        0x3333333333,
        "44" * 32,
        "c454185e6a16936e39334038acef838bfb186fff7480adc4289382ecd6d394f0",
    ),
    (
        "fffefdfcfbfaf9f8f7f6f5f4f3f2f1f0" + "22" * 16,
        0x3333333333,
        "44" * 32,
        "af85336b597afc1a900b2eb21ec949d292df4c047e0b21532186a5971a227a89",
    ),
    (
        "2718281828459045235360287471352631415926535897932384626433832795",
        0,
        bytes(range(64)).hex(),
        "27a7479befa1d476489f308cd4cfa6e2a96e4bbe3208ff25287dd3819616e89c"
        "c78cf7f5e543445f8333d8fa7f56000005279fa5d8b5e4ad40e736ddb4d35412",
    ),
    (
        "2718281828459045235360287471352662497757247093699959574966967627"
        "3141592653589793238462643383279502884197169399375105820974944592",
        0xFF,
        bytes(range(64)).hex(),
        "1c3b3a102f770386e4836c99e370cf9bea00803f5e482357a4ae12d414a3e63b"
        "5d31e276f8fe4a8d66b317f9ac683f44680a86ac35adfc3345befecb4bb188fd",
    ),
)
# FIPS 202: NIST's examples and the message of 448 bits.
SHA3 = (
    (b"", "a7ffc6f8bf1ed76651c14756a061d662f580ff4de43b49fa82d80a4b80f8434a"),
    (b"abc", "3a985da74fe225b2045c172d6bd390bd855f086e3e9d525b46bfe24511431532"),
    (
        b"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
        "41c0dba2a9d6240849100376a8235e2c82e1b9998a999e21db32dd97496d3376",
    ),
    (b"\xa3" * 200, "79f38adec5c20307a98ef76e8324afbfd46cfd81b22e3973c65fa1bd9de31787"),
)


def need(path: str) -> str:
    if not dict(native.tme_paths())[path]:
        pytest.skip(f"this CPU has no {path}")
    return path


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(("keys", "number", "plain", "cipher"), NIST_XTS + IEEE_XTS)
def test_xts_known_answers(path: str, keys: str, number: int, plain: str, cipher: str) -> None:
    both, text, expected = bytes.fromhex(keys), bytes.fromhex(plain), bytes.fromhex(cipher)
    data, tweak = both[: len(both) // 2], both[len(both) // 2 :]
    line = text.ljust(64, b"\0")
    sealed, macs = native.tme_seal(need(path), data, tweak, bytes(16), 0, number, line)
    assert sealed[: len(expected)] == expected
    assert native.tme_open(path, data, tweak, bytes(16), 0, number, sealed, macs) == (line, 0)


@pytest.mark.parametrize(("keys", "number", "plain", "cipher"), NIST_XTS + IEEE_XTS)
def test_xts_known_answers_of_the_reference(keys: str, number: int, plain: str, cipher: str) -> None:
    reference = pytest.importorskip("tmebox.tme.reference", reason="needs the package cryptography")
    both, text, expected = bytes.fromhex(keys), bytes.fromhex(plain), bytes.fromhex(cipher)
    data, tweak = both[: len(both) // 2], both[len(both) // 2 :]
    line = text.ljust(64, b"\0")
    sealed = reference.crypt(data, tweak, number, line)
    assert sealed[: len(expected)] == expected
    assert reference.crypt(data, tweak, number, sealed, decrypt=True) == line


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(("message", "digest"), SHA3, ids=["0", "3", "56", "200"])
def test_sha3_known_answers(path: str, message: bytes, digest: str) -> None:
    assert native.tme_sha3(need(path), message).hex() == digest
    assert hashlib.sha3_256(message).hexdigest() == digest


@pytest.mark.parametrize("path", PATHS)
def test_sha3_agrees_with_hashlib_at_every_length(path: str) -> None:
    need(path)
    rng = random.Random(1)
    for size in (*range(300), 1000):
        message = rng.randbytes(size)
        assert native.tme_sha3(path, message) == hashlib.sha3_256(message).digest()


@pytest.mark.parametrize("path", PATHS)
def test_every_path_gives_what_the_reference_gives(path: str) -> None:
    reference = pytest.importorskip("tmebox.tme.reference", reason="needs the package cryptography")
    need(path)
    rng = random.Random(2)
    for count in (1, 2, 3, 4, 5, 7, 8, 9, 13, 64):
        for size, td in ((16, 0), (32, 1)):
            data, tweak, mac_key = rng.randbytes(size), rng.randbytes(size), rng.randbytes(16)
            address, plain = rng.randrange(1 << 40) * 64, rng.randbytes(64 * count)
            sealed, macs = native.tme_seal(path, data, tweak, mac_key, td, address, plain)
            for line in range(count):
                part = slice(64 * line, 64 * line + 64)
                where = address + 64 * line
                assert sealed[part] == reference.crypt(data, tweak, where, plain[part])
                expected = reference.mac(mac_key, sealed[part], reference.encrypted_tweak(tweak, where), td)
                assert int.from_bytes(macs[4 * line : 4 * line + 4], "little") == expected
            assert native.tme_open(path, data, tweak, mac_key, td, address, sealed, macs) == (plain, 0)


@pytest.mark.parametrize("path", PATHS)
def test_every_bit_counts(path: str) -> None:
    """Cipher text, MAC, TD bit, address, keys: each bit of each that is changed is noticed."""
    need(path)
    rng = random.Random(3)
    data, tweak, mac_key, plain = rng.randbytes(16), rng.randbytes(16), rng.randbytes(16), rng.randbytes(64)
    sealed, macs = native.tme_seal(path, data, tweak, mac_key, 0, 0x12340, plain)

    def flipped(what: bytes, bit: int) -> bytes:
        return bytes(byte ^ (1 << bit % 8 if index == bit // 8 else 0) for index, byte in enumerate(what))

    def wrong(*parts: object) -> int:
        return native.tme_open(path, *parts)[1]  # type: ignore[arg-type]

    good = (data, tweak, mac_key, 0, 0x12340, sealed, macs)
    assert wrong(*good) == 0
    assert all(wrong(*good[:5], flipped(sealed, bit), macs) for bit in range(512))
    assert all(wrong(*good[:6], flipped(macs, bit)) for bit in range(28))
    assert all(wrong(data, tweak, flipped(mac_key, bit), *good[3:]) for bit in range(128))
    assert all(wrong(data, flipped(tweak, bit), *good[2:]) for bit in range(128))
    assert all(wrong(*good[:4], 0x12340 ^ 1 << bit, sealed, macs) for bit in range(6, 52))
    assert wrong(*good[:3], 1, *good[4:])
    # The data key is no input of the MAC: it decides what the plain text is.
    for bit in range(128):
        other = native.tme_open(path, flipped(data, bit), *good[1:])[0]
        assert other != plain


def test_the_tweak_is_the_lines_address(machine: tme.Machine) -> None:
    """The same line at two addresses has two cipher texts; at the address of the data unit's number it has
    that one."""
    slot = machine.key_slot(1, reveal=True)
    for address in (0x1000, 0x1040):
        machine.direct_store(address, bytes(64), key_id=1)
        expected, _ = native.tme_seal(None, slot.key, slot.tweak_key, bytes(16), 0, address, bytes(64))
        assert machine.dram[address : address + 64] == expected
    assert machine.dram[0x1000:0x1040] != machine.dram[0x1040:0x1080]


def test_the_key_id_is_in_no_tweak(machine: tme.Machine) -> None:
    """Two KeyIDs with one key: the same cipher text, and each reads the other's line."""
    for key_id in (5, 6):
        machine.pconfig(key_id, "direct", key=b"k" * 16, tweak_key=b"t" * 16)
    machine.direct_store(0x2000, b"x" * 64, key_id=5)
    first = machine.dram.line(0x2000)
    assert machine.read(0x2000, 64, key_id=6) == b"x" * 64
    machine.direct_store(0x2000, b"x" * 64, key_id=6)
    assert machine.dram.line(0x2000) == first


def test_equal_keys_are_no_matter(build) -> None:  # type: ignore[no-untyped-def]
    machine = build()
    machine.pconfig(1, "direct", key=b"k" * 16, tweak_key=b"k" * 16)
    machine.direct_store(0, bytes(range(64)), key_id=1)
    sealed, _ = native.tme_seal(None, b"k" * 16, b"k" * 16, bytes(16), 0, 0, bytes(range(64)))
    assert machine.dram[0:64] == sealed
    assert machine.read(0, 64, key_id=1) == bytes(range(64))


@pytest.mark.parametrize("path", PATHS)
def test_a_machine_works_on_every_path(path: str) -> None:
    machine = tme.Machine(memory="64KiB", key_id_bits=2, seed=5, path=need(path))
    machine.activate()
    machine.pconfig(1, "random")
    machine.write(0, b"text", key_id=1)
    machine.flush()
    assert machine.read(0, 4, key_id=1) == b"text"
    portable = tme.Machine(memory="64KiB", key_id_bits=2, seed=5, path="portable")
    portable.activate()
    portable.pconfig(1, "random")
    portable.write(0, b"text", key_id=1)
    portable.flush()
    assert machine.dram.line(0) == portable.dram.line(0)
