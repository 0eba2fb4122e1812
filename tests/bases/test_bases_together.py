"""Sandboxes with their base in gs and in r15 in one process: they may talk, and neither can be in the other's
code, where registers mean something else."""

from __future__ import annotations

from collections.abc import Callable

import pytest

import tmebox

pytestmark = pytest.mark.slow

ModuleOf = Callable[..., tmebox.Module]
PAIRS = [("gs", "r15"), ("r15", "gs")]


@pytest.fixture
def entry(module_of: ModuleOf) -> Callable[[str], int]:
    """Address of a function whose address the module takes: what an indirect call of its own may reach."""

    def of(base: str) -> int:
        with tmebox.Sandbox(module_of(base), imports={"host": lambda x: x}) as sandbox:
            address = sandbox.address_of(0)
            assert sandbox.call("call", address, 3, 4) == 7
            return int(address)

    return of


@pytest.mark.parametrize(("attacker", "victim"), PAIRS)
def test_a_forged_pointer_to_code_with_the_other_base_is_stopped(
    attacker: str, victim: str, module_of: ModuleOf, entry: Callable[[str], int]
) -> None:
    target = entry(victim)
    with tmebox.Sandbox(module_of(attacker), imports={"host": lambda x: x}) as sandbox:
        assert sandbox.call("call", sandbox.address_of(1), 3, 4) == 12
        with pytest.raises(tmebox.ControlFlowViolation):
            sandbox.call("call", target, 3, 4)


@pytest.mark.parametrize("base", ["gs", "r15"])
def test_no_byte_of_code_with_the_other_base_is_a_target(base: str, module_of: ModuleOf) -> None:
    """The two modes' bits of the target map: whatever a check asks for, only its own mode has it."""
    module = module_of(base)
    verified = module._verified
    assert module.file.table_entries and len(module.file.labels)
    assert not any(verified.target_map[module.file.code_bytes :])
    own = 0b000111 if base == "gs" else 0b111000
    seen = 0
    for bits in verified.target_map:
        seen |= bits
    assert seen == own


@pytest.mark.parametrize(("outer", "inner"), PAIRS)
@pytest.mark.parametrize("isolation", ["code+data", "data"])
def test_sandboxes_of_both_kinds_call_each_other_through_the_host(
    outer: str, inner: str, isolation: str, module_of: ModuleOf
) -> None:
    with tmebox.Sandbox(module_of(inner, isolation), imports={"host": lambda x: x + 1}) as callee:

        def relay(x: int) -> int:
            return int(callee.twice(x)) if x < 100 else int(caller.fill(4))

        with tmebox.Sandbox(module_of(outer, isolation), imports={"host": relay}) as caller:
            assert caller.twice(5) == (5 + 1 + 7) + 7
            assert caller.twice(100) == 9 + 0 + 7
            assert caller.fill(10) == 126


def test_a_call_in_between_leaves_the_base_of_the_other_alone(module_of: ModuleOf) -> None:
    first = tmebox.Sandbox(module_of("gs"), imports={"host": lambda x: x})
    second = tmebox.Sandbox(module_of("r15"), imports={"host": lambda x: x})
    with first, second:
        for count in range(1, 20):
            assert first.fill(count) == second.fill(count)
            assert first.choose(3) == second.choose(3) == 17


@pytest.mark.parametrize("base", ["gs", "r15"])
def test_data_isolation_needs_a_trusted_compiler(base: str, module_of: ModuleOf) -> None:
    data = module_of(base, "data").to_bytes()
    with pytest.raises(tmebox.ModuleError, match="trust_compiler=True"):
        tmebox.Module.from_bytes(data)


def test_a_module_that_lies_about_its_base_is_refused(module_of: ModuleOf) -> None:
    from dataclasses import replace

    for base, other in PAIRS:
        file = module_of(base).file
        with pytest.raises(tmebox.VerificationError):
            tmebox.Module(replace(file, base=other))
