"""The witness of hostile tests must itself notice every kind of damage; here the host does it on purpose."""

from __future__ import annotations

import ctypes
import gc
from collections.abc import Callable

import pytest

import tmebox
from tests.hostile.scene import attack, host_secret, hostile
from tmebox import Sandbox, _native, abi

FE_UPWARD = 0x800


def neighbours(sandbox: Sandbox) -> list[Sandbox]:
    return [other for other in gc.get_objects() if type(other) is Sandbox and other is not sandbox]


def overwrite(address: int) -> None:
    """Change a byte, whatever its page's protection."""
    with open("/proc/self/mem", "r+b", buffering=0) as memory:
        memory.seek(address)
        old = memory.read(1)
        memory.seek(address)
        memory.write(bytes([old[0] ^ 0xFF]))


def damage_secret(_: Sandbox) -> None:
    host_secret()[5] = b"\0"


def damage_neighbour(sandbox: Sandbox) -> None:
    other = neighbours(sandbox)[0]
    overwrite(other.base + other.where() + 1000)


DAMAGE: dict[str, Callable[[Sandbox], object]] = {
    "a canary page": lambda sandbox: overwrite(sandbox.base + abi.WINDOW_SIZE + 77),
    "canary page beside": lambda sandbox: overwrite(sandbox.base - abi.GUARD - 1),
    "the host's secret": damage_secret,
    "text, target map": lambda sandbox: overwrite(sandbox.module.address + 3),
    "target map or gates": lambda sandbox: overwrite(sandbox.module.address + abi.TARGET_MAP),
    "or gates": lambda _: overwrite(abi.GATE_BASE + 0xC1),
    "floating-point state": lambda _: ctypes.CDLL("libm.so.6").fesetround(FE_UPWARD),
    "a neighbour's memory": damage_neighbour,
    "a neighbour's memory was": lambda sandbox: neighbours(sandbox)[0].plant(1),
}


@pytest.mark.parametrize("what", DAMAGE)
def test_damage_is_noticed(what: str) -> None:
    with pytest.raises(AssertionError, match=what):
        attack(hostile("memory"), DAMAGE[what])


def test_no_damage_is_not_noticed() -> None:
    assert attack(hostile("memory"), lambda sandbox: sandbox.alive()).value == 42


def test_a_crash_of_the_host_is_noticed() -> None:
    with pytest.raises(AssertionError, match="SIGSEGV"):
        attack(hostile("memory"), lambda _: ctypes.string_at(8))


def test_a_window_that_is_written_to_directly_is_no_damage() -> None:
    def act(sandbox: Sandbox) -> int:
        _native.write(sandbox.base + sandbox.where_is_mine(), b"?")
        return int(sandbox.read8(sandbox.where_is_mine()))

    assert attack(hostile("memory"), act).value == ord("?")


def test_innocent_sandboxes_live_on_both_sides() -> None:
    def act(sandbox: Sandbox) -> list[int]:
        return sorted((other.base - sandbox.base) // abi.WINDOW_SIZE for other in neighbours(sandbox))

    assert attack(hostile("memory"), act).value == [-1, 1]


def test_a_sandbox_that_goes_on_after_its_trap_would_be_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    def revived(_: Sandbox, *__: object) -> int:
        return 42

    def act(sandbox: Sandbox) -> None:
        monkeypatch.setattr(Sandbox, "call_raw", revived)
        raise tmebox.Trap("a trap")

    with pytest.raises(AssertionError, match="could be called after its trap"):
        attack(hostile("memory"), act)
