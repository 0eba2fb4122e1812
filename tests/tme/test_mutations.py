"""Machines with one thing wrong are told from sound ones: the tests would notice such a defect."""

from __future__ import annotations

import pytest

from tests.tme import test_pconfig
from tests.tme.differential import Difference, compare
from tests.tme.mutants import Mutation, Workshop
from tmebox.tme import pconfig
from tmebox.tme.machine import Machine, Modelled

reference = pytest.importorskip("tmebox.tme.reference", reason="needs the package cryptography")

pytestmark = pytest.mark.slow

MUTATIONS = [
    Mutation("dropped-flush", "machine.c", "        write_back(machine, place);\n", ""),
    Mutation(
        "flush-of-one-line-only",
        "machine.c",
        "line <= (physical + size - 1) / TME_LINE",
        "line == physical / TME_LINE",
    ),
    Mutation("skipped-mac-bit", "lines.c", "& mac_mask) != 0", "& mac_mask & ~1U) != 0"),
    Mutation("wrong-tweak", "dram.c", "line * TME_LINE, 1,", "line, 1,", times=3),
    Mutation("missing-cache-tag", "cache.c", "(uint64_t)key_id << KEY_SHIFT | VALID | line", "VALID | line"),
    Mutation(
        "td-bit-not-in-mac",
        "dram.c",
        "mac_key, td, line * TME_LINE",
        "mac_key, 0, line * TME_LINE",
        times=3,
    ),
    Mutation("poison-that-does-not-stay", "dram.c", "machine->side[line] |= TME_SIDE_POISON;", ""),
    Mutation(
        "poison-never-cleared",
        "dram.c",
        "line] = (mac",
        "line] = (machine->side[line] & TME_SIDE_POISON) | (mac",
    ),
    Mutation(
        "exclusion-for-every-key", "dram.c", "machine->excluding && key_id == 0 &&", "machine->excluding &&"
    ),
    Mutation("aliases-left-alone", "machine.c", "leave(machine, place, TME_ALIAS_FLUSH);", ""),
    Mutation("paper-checks-ownership", "machine.c", "purpose == TO_READ || outcome == TME_POISON", "true"),
    Mutation(
        "lru-forgets-hits",
        "cache.c",
        "if (cache->replacement == TME_LRU) {",
        "if (cache->replacement == TME_LRU + 9) {",
    ),
    Mutation("private-without-seam", "machine.c", "&& !machine->seam", "&& false"),
    Mutation(
        "direct-store-keeps-the-copy",
        "machine.c",
        "cache_drop(&machine->cache, place);\n        }\n",
        "cache_find(&machine->cache, 0, 0);\n        }\n",
    ),
]


@pytest.fixture(scope="module")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> Workshop:
    return Workshop(tmp_path_factory.mktemp("mutants"))


def caught(kind: type[Modelled], seeds: int) -> bool:
    for seed in range(seeds):
        try:
            compare(kind, reference.ReferenceMachine, seed, 1600)
        except Difference:
            return True
    return False


def test_a_machine_built_here_without_a_mutation_is_sound(workshop: Workshop) -> None:
    assert not caught(workshop.build(None), 4)


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda mutation: mutation.name)
def test_a_mutation_is_caught(workshop: Workshop, mutation: Mutation) -> None:
    assert caught(workshop.build(mutation), 60)


@pytest.mark.parametrize(
    "name", ["INVALID_COMMAND", "ENTROPY_ERROR", "INVALID_KEY_ID", "INVALID_ALGORITHM", "DEVICE_BUSY"]
)
def test_a_status_code_that_is_off_by_one_is_caught(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pconfig, name, getattr(pconfig, name) + 1)

    def build(**options: object) -> Machine:
        machine = Machine(**{"memory": "64KiB", "key_id_bits": 4, **options})  # type: ignore[arg-type]
        machine.activate()
        return machine

    failed = 0
    for what, status, rule in test_pconfig.STATUSES:
        try:
            test_pconfig.test_pconfig_status_codes(build, what, status, rule)
        except AssertionError:
            failed += 1
    if not failed:
        with pytest.raises(AssertionError):
            test_pconfig.test_pconfig_without_entropy_or_the_key_table(build)
