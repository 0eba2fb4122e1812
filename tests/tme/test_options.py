"""What a machine may be built from, what is refused, and what is never shown."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from tmebox import tme
from tmebox.tme.machine import Modelled

PLAIN = b"", b"", False
"""A KeyID that does not encrypt."""


@pytest.mark.parametrize(
    ("options", "rule"),
    [
        ({"detection": "magic"}, "option-value"),
        ({"replacement": "mru"}, "option-value"),
        ({"pconfig_checks": "none"}, "option-value"),
        ({"physical_bits": 53}, "option-value"),
        ({"events": 100}, "option-value"),
        ({"memory": "64 MB"}, "option-memory"),
        ({"memory": 4097}, "option-memory"),
        ({"memory": 0}, "option-memory"),
        ({"memory": "8GiB", "physical_bits": 36, "key_id_bits": 6}, "option-memory"),
        ({"key_id_bits": 16, "most_key_id_bits": 16}, "option-key-bits"),
        ({"key_id_bits": 6, "most_key_id_bits": 5}, "option-key-bits"),
        ({"key_id_bits": -1}, "option-key-bits"),
        ({"key_id_bits": 2, "tdx_key_id_bits": 3}, "activate-tdx-bits"),
        ({"algorithm": "aes-gcm"}, "option-algorithm"),
        ({"algorithm": "aes-xts-256", "algorithms": ("aes-xts-128",)}, "option-algorithm"),
        ({"cache": 1000}, "option-cache"),
        ({"cache": "lots"}, "option-cache"),
        ({"ways": 65}, "option-cache"),
        ({"ways": 0}, "option-cache"),
        ({"ways": 3, "cache": 192, "replacement": "tree"}, "option-cache"),
        ({"coherent_aliases": True, "aliases_forbidden": True}, "option-aliases"),
        ({"mac_bits": 0}, "option-mac"),
        ({"mac_bits": 29}, "option-mac"),
        ({"mac_bits": 8, "algorithm": "aes-xts-128", "algorithms": ("aes-xts-128",)}, "option-mac"),
        ({"exclusion": (0, 5000)}, "option-exclusion"),
        ({"exclusion": (4096, 8192)}, "option-exclusion"),
    ],
)
def test_options_are_refused_with_their_rule(
    kind: type[Modelled], options: dict[str, Any], rule: str
) -> None:
    with pytest.raises(tme.ConfigurationError) as caught:
        kind(**options)
    assert caught.value.rule == rule
    assert f"rule {rule}" in str(caught.value)


def test_a_path_that_the_cpu_lacks_is_refused() -> None:
    with pytest.raises(ValueError, match="no vax"):
        tme.Machine(memory="64KiB", path="vax")


def test_sizes_are_numbers_or_text() -> None:
    for size in (1 << 20, "1MiB", "1024KiB", "1048576", "1 MiB"):
        assert tme.Machine(memory=size).options.memory == 1 << 20


def test_keys_never_appear_unless_asked(build: Any, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    machine = build()
    key, tweak = b"the data key is!", b"the tweak key is"
    machine.pconfig(1, "direct", key=key, tweak_key=tweak)
    machine.write(0, b"x", key_id=1)
    machine.flush()
    slots = [machine.key_slot(number, reveal=True) for number in (0, 1)]
    program = tme.KeyProgram.of(1, 0, 2, key, tweak)
    shown = [
        repr(machine),
        str(machine.trace()),
        machine.trace().svg(),
        repr(slots),
        repr(program),
        caplog.text,
    ]
    shown += [repr(machine.key_slot(1)), str(machine.counters()), repr(machine.options), repr(machine.dram)]
    try:
        machine.read(0, 1, key_id=0)
    except tme.IntegrityError as error:
        shown += [str(error), repr(error.record), error.record.log()]
    for secret in (key, tweak, slots[0].key, slots[0].tweak_key):
        assert len(secret) == 16
        for text in shown:
            assert secret.hex() not in text and repr(secret)[2:-1] not in text
    assert machine.key_slot(1).key == b""
    assert slots[1].key == key


def test_two_machines_have_different_keys() -> None:
    machines = [tme.Machine(memory="64KiB") for _ in range(2)]
    for machine in machines:
        machine.activate()
    first, second = (machine.key_slot(0, reveal=True).key for machine in machines)
    assert first != second


def test_the_c_core_checks_what_it_is_given() -> None:
    """A machine cannot be broken by calling its memory path wrongly."""
    machine = tme.Machine(memory="64KiB")
    for call in (
        machine.__init__,  # type: ignore[misc]
        lambda: machine._configure(60, 2, 1, 0, 0, False, (PLAIN,) * 4, bytes(16)),
        lambda: machine._configure(52, 16, 1, 0, 0, False, (PLAIN,) * 65536, bytes(16)),
        lambda: machine._configure(52, 2, 1, 0, 0, False, (PLAIN,) * 5, bytes(16)),
        lambda: machine._configure(52, 0, 1, 0, 0, False, ((b"k" * 15, b"t" * 15, True),), bytes(16)),
        lambda: machine._configure(52, 0, 1, 0, 0, False, (PLAIN,), b"short"),
        lambda: machine._set_key(1, (b"k" * 16, b"t" * 16, True)),
        lambda: machine._set_key(0, (b"k" * 15, b"t" * 15, True)),
        lambda: machine._side(1 << 40),
        lambda: machine.read(0, 1, 2),  # type: ignore[call-arg]
        lambda: machine.read(0, 1, keyid=1),  # type: ignore[call-arg]
        lambda: machine.read(0, 1 << 62),
        lambda: machine.read("0", 1),  # type: ignore[arg-type]
        lambda: machine.write(0, "text"),
        lambda: machine.read(0, 1, key_id=-1),
    ):
        with pytest.raises((ValueError, TypeError, RuntimeError, IndexError, OverflowError, tme.AccessError)):
            call()
    from tmebox._native import TmeEngine

    engine = TmeEngine.__new__(TmeEngine)
    with pytest.raises(RuntimeError):
        engine.read(0, 1)
    with pytest.raises(RuntimeError):
        memoryview(engine)


def test_what_is_stored_may_be_dram_itself() -> None:
    machine = tme.Machine(memory="64KiB", path="portable")
    machine.activate()
    machine.dram[0:256] = bytes(range(256))
    view = memoryview(machine)
    machine.direct_store(0, view[8:72])
    machine.write(64, view[100:164])
    assert machine.read(0, 64) == bytes(range(8, 72))
    assert machine.read(64, 64) == bytes(range(100, 164))


@pytest.mark.parametrize("cache", [None, "4KiB"])
def test_a_store_of_dram_onto_itself_stores_what_it_was(kind: type[Modelled], cache: str | None) -> None:
    """Line by line the first store would change what the next one takes."""
    machine = kind(memory="64KiB", cache=cache, seed=1)
    machine.activate()
    machine.write(0, bytes(range(64)) * 4)
    machine.flush()
    before = machine.dram[0:192]
    machine.write(64, machine._dram()[0:192])
    assert machine.read(64, 192) == before


def test_a_key_table_that_shrinks_leaves_no_line_behind() -> None:
    machine = tme.Machine(memory="64KiB", key_id_bits=6)
    machine.activate()
    machine.write(0, b"x", key_id=63)
    machine._configure(52, 0, 1, 0, 0, False, (PLAIN,), bytes(16))
    assert machine.cached() == []
    machine.flush()
