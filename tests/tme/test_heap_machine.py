"""The machine that a shared heap lives in: what may be chosen, and what contradicts a heap."""

from __future__ import annotations

from typing import Any

import pytest

from tmebox import tme
from tmebox.abi import PAGE_SIZE
from tmebox.tme.heap_machine import machine_for_heap

HEAP = 1 << 20


@pytest.mark.parametrize(
    ("options", "rule"),
    [
        ({"cache": "1MiB"}, "option-heap-cache"),
        ({"ways": 4}, "option-heap-cache"),
        ({"coherent_aliases": True}, "option-heap-cache"),
        ({"aliases_forbidden": True}, "option-heap-cache"),
        ({"bypass": True}, "option-heap-keys"),
        ({"tdx_key_id_bits": 2}, "option-heap-keys"),
        ({"key_id_bits": 0}, "option-heap-keys"),
        ({"algorithm": "aes-xts-256"}, "option-heap-integrity"),
        ({"memory": HEAP}, "option-heap-memory"),
        ({"seed": 1}, "option-heap-seed"),
        ({"key_id_bits": 16}, "option-key-bits"),
        ({"algorithm": "rot13"}, "option-algorithm"),
        ({"detection": "magic"}, "option-value"),
        ({"mac_bits": 29}, "option-mac"),
    ],
)
def test_machines_that_contradict_a_heap_are_refused(options: dict[str, Any], rule: str) -> None:
    with pytest.raises(tme.ConfigurationError, match=f"rule {rule}") as caught:
        machine_for_heap(HEAP, options)
    assert caught.value.rule == rule


def test_what_is_no_option_is_named() -> None:
    with pytest.raises(TypeError, match="'colour'"):
        machine_for_heap(HEAP, {"colour": "red"})


def test_a_heaps_machine_is_active_and_takes_its_options() -> None:
    usual = machine_for_heap(HEAP)
    assert usual.registers.enabled and len(usual.dram) == HEAP + PAGE_SIZE
    assert (usual.options.key_id_bits, usual.options.detection) == (15, "specification")
    options = {"algorithm": "aes-xts-256-integrity", "key_id_bits": 6, "detection": "paper", "mac_bits": 8}
    machine = machine_for_heap(HEAP, {**options, "cache": None, "memory": "2MiB"})
    assert {name: getattr(machine.options, name) for name in options} == options
    assert len(machine.dram) == 2 << 20


@pytest.mark.parametrize("given", ["abc", [], [("events", 0)], 5])
def test_options_are_a_mapping(given: Any) -> None:
    with pytest.raises(TypeError):
        machine_for_heap(1 << 16, given)
    with pytest.raises(tme.ConfigurationError, match=r"option-algorithm|option-value"):
        machine_for_heap(1 << 16, {"algorithm": given})
