"""Sandboxes with their base in gs and in r15 in one process: they may talk, and neither can be in the other's
code, where registers mean something else."""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable

import numpy as np
import pytest

import tmebox
from tmebox import abi

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
    """No byte of one mode's code satisfies what a check of the other's asks of the target map."""
    module = module_of(base)
    verified = module._verified
    assert module.file.table_entries and len(module.file.labels)
    assert not any(verified.target_map[module.file.code_bytes :])
    seen = set(verified.target_map) - {0}
    asks_gs = abi.TARGET_FUNCTION
    asks_r15 = (abi.TARGET_RETURN | abi.TARGET_FUNCTION | abi.TARGET_LABEL) << abi.TARGET_R15_SHIFT
    if base == "gs":
        assert abi.TARGET_FUNCTION in seen and seen & set(abi.LABEL_MARKS)
        assert seen <= {abi.TARGET_FUNCTION, *abi.LABEL_MARKS}
        assert not any(mark & asks_r15 for mark in (abi.TARGET_FUNCTION, *abi.LABEL_MARKS))
    else:
        assert functools.reduce(operator.or_, seen) == asks_r15
        assert not any(mark & asks_gs or mark in abi.LABEL_MARKS for mark in seen)


def test_what_follows_a_call_is_no_target_where_returns_need_no_check(module_of: ModuleOf) -> None:
    """Only functions and labels that the module claims have a mark."""
    file, verified = module_of("gs").file, module_of("gs")._verified
    claimed = {int(address) - file.text_address for address in (*file.functions, *file.labels)}
    marked = {place for place, mark in enumerate(verified.target_map) if mark}
    after_calls = set(np.frombuffer(verified.returns[0], np.uint32).tolist())
    assert marked and marked <= claimed and len(after_calls - claimed) > 100


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
