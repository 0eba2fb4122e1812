"""The same program, whatever register holds its window's base and whatever checks its control flow."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

import tmebox
from tests.bases.modules import compile_for, needs
from tmebox.abi import Base, Isolation

pytestmark = pytest.mark.slow

GUEST_PROGRAMS = Path(__file__).parents[1] / "guest" / "programs"


def test_the_module_says_what_it_is(
    base: Base, isolation: Isolation, module_of: Callable[[str, str], tmebox.Module]
) -> None:
    module = module_of(base, isolation)
    again = tmebox.Module.from_bytes(module.to_bytes(), trust_compiler=True)
    assert (again.file.base, again.file.isolation) == (base, isolation)
    assert str(again.exports["fill"]) == "int fill(int n)"
    assert str(again.imports["host"]).startswith("int host(int")


def test_calls_loads_stores_tables_and_frames(sandbox: tmebox.Sandbox) -> None:
    assert (sandbox.apply(0, 3, 4), sandbox.apply(1, 3, 4)) == (7, 12)
    assert sandbox.fill(1000) == sum(i * i for i in range(999, -1, -3))
    assert [sandbox.choose(x) for x in range(7)] == [2, 7, 9, 17, -9, 5, 0]
    assert [sandbox.wander(n, 2) for n in (10, 11)] == [13, 10]
    expected = [(i * 7 % 1000 + 128) % 256 - 128 for i in range(1000)]
    assert sandbox.on_the_stack(1000) == sum(expected)
    assert sandbox.structs(5) == 39
    assert sandbox.bytes_of(0x123456) == 0x123456
    assert sandbox.deep(500) == 500


def test_host_calls_return_to_where_they_came_from(sandbox: tmebox.Sandbox) -> None:
    assert [sandbox.twice(x) for x in (0, 21)] == [7, 49]


def test_jump_buffers_work(sandbox: tmebox.Sandbox) -> None:
    assert sandbox.jumps(4) == 504
    assert sandbox.fill(10) == 81 + 36 + 9 + 0


@pytest.mark.parametrize("address", [0, 0x5000, (1 << 30) + 8, (1 << 31) - 8, (1 << 32) - 64])
def test_accesses_outside_what_is_mapped_are_memory_faults(sandbox: tmebox.Sandbox, address: int) -> None:
    with pytest.raises(tmebox.MemoryFault) as caught:
        sandbox.read_at(address)
    assert caught.value.offset == address
    assert "read_at" in str(caught.value)


def test_a_constant_address_just_below_null_is_a_memory_fault(sandbox: tmebox.Sandbox) -> None:
    with pytest.raises(tmebox.MemoryFault, match="before_null"):
        sandbox.before_null()


@pytest.mark.parametrize(("access", "values"), [("read_high", ()), ("write_high", (1,))])
def test_a_constant_address_counts_with_its_lower_32_bits(
    sandbox: tmebox.Sandbox, access: str, values: tuple[int, ...]
) -> None:
    """gcc has an instruction with a 64-bit address for them."""
    with pytest.raises(tmebox.MemoryFault, match=access) as caught:
        getattr(sandbox, access)(*values)
    assert caught.value.offset == 0xDEADBEE0


def test_host_addresses_become_offsets(sandbox: tmebox.Sandbox) -> None:
    with pytest.raises(tmebox.MemoryFault) as caught:
        sandbox.write_at(0x7F12_3456_7890, 1)
    assert caught.value.offset == 0x3456_7890


def test_endless_recursion_is_a_stack_overflow(sandbox: tmebox.Sandbox) -> None:
    with pytest.raises(tmebox.StackOverflow):
        sandbox.deep(100_000_000)


def test_a_command_prints_and_exits(
    base: Base, isolation: Isolation, module_of: Callable[[str, str], tmebox.Module]
) -> None:
    module = module_of(base, isolation)
    with tmebox.Sandbox(module, imports={"host": lambda x: x}, timeout=20.0) as sandbox:
        completed = sandbox.run(["program", "argument"])
    assert (completed.exit_code, completed.stdout) == (0, b"program 2 6.250 done\n")


@pytest.mark.parametrize("name", ["strings", "allocation", "process", "numbers"])
def test_the_c_library_holds_its_checks_with_the_base_in_r15(name: str, isolation: Isolation) -> None:
    needs("r15")
    module = tmebox.compile(
        GUEST_PROGRAMS / f"{name}.c", base="r15", isolation=isolation, trust_compiler=isolation == "data"
    )
    with tmebox.Sandbox(module, memory="64MiB", timeout=60.0) as sandbox:
        completed = sandbox.run([name])
    assert (completed.exit_code, completed.stderr.decode()) == (0, "")


@pytest.mark.parametrize("optimize", ["-O0", "-O1", "-O3", "-Os"])
def test_gcc_at_every_level_is_rewritten_and_verified(optimize: str) -> None:
    needs("r15")
    text = """
        int host(int);
        static int squares[50];
        int f(int n) { for (int i = 0; i < 50; i++) squares[i] = i * i; return host(n) + squares[n]; }
        """
    module = compile_for(text, "r15", optimize=optimize)
    with tmebox.Sandbox(module, imports={"host": lambda x: -x}) as sandbox:
        assert sandbox.f(7) == 42
