"""The machine in whose DRAM a shared heap lives: which options fit, and which contradict what a heap is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tmebox.abi import PAGE_SIZE
from tmebox.tme.algorithms import ALGORITHMS
from tmebox.tme.faults import ConfigurationError
from tmebox.tme.machine import Machine
from tmebox.tme.options import MOST_KEY_ID_BITS, size_from

OPTIONS = (
    "memory",
    "key_id_bits",
    "algorithm",
    "algorithms",
    "detection",
    "mac_bits",
    "physical_bits",
    "most_key_id_bits",
    "exclusion",
    "pconfig_checks",
    "events",
    "path",
)
"""Those of Machine that a heap leaves open."""
OF_A_CACHE = ("cache", "ways", "replacement", "coherent_aliases", "aliases_forbidden")


def machine_for_heap(heap_bytes: int, given: Mapping[str, Any] | None = None) -> Machine:
    """Active, with integrity, and a page behind the heap for PCONFIG's structure. Where nothing is given: as
    many KeyIDs as a heap has keys, and ownership reads are checked. heap_bytes: whole pages. Raises
    ConfigurationError, with its rule, and TypeError for what is no option."""
    if given is not None and not isinstance(given, Mapping):
        raise TypeError(f"machine={given!r}: a mapping of options")
    options: dict[str, Any] = {
        "memory": heap_bytes + PAGE_SIZE,
        "key_id_bits": MOST_KEY_ID_BITS,
        "detection": "specification",
        **(given or {}),
    }
    _check(heap_bytes, options)
    machine = Machine(**{**options, "cache": None})
    machine.activate()
    return machine


def _check(heap_bytes: int, options: Mapping[str, Any]) -> None:
    for name, value in options.items():
        if name in OF_A_CACHE and not (name == "cache" and value is None):
            raise ConfigurationError(
                f"{name}={value!r}: a heap's machine has no cache; what a processor would have there is in "
                "the heap's views",
                "option-heap-cache",
            )
        if name in ("bypass", "tdx_key_id_bits") and value:
            raise ConfigurationError(
                f"{name}={value!r}: every KeyID of a heap's machine is TME-MK's and encrypts",
                "option-heap-keys",
            )
        if name == "seed" and value is not None:
            raise ConfigurationError(
                f"seed={value!r}: a heap draws a fresh key for every owner, from the system",
                "option-heap-seed",
            )
        if name not in (*OPTIONS, *OF_A_CACHE, "bypass", "tdx_key_id_bits", "seed"):
            raise TypeError(
                f"machine={{{name!r}: …}}: a machine has no such option; it has {', '.join(OPTIONS)}"
            )
    if options["key_id_bits"] == 0:
        raise ConfigurationError("key_id_bits=0: every owner has a KeyID", "option-heap-keys")
    named = options.get("algorithm", "aes-xts-128-integrity")
    algorithm = ALGORITHMS.get(named) if isinstance(named, str) else None  # Machine refuses what is no name
    if algorithm is not None and not algorithm.integrity:
        raise ConfigurationError(
            f"algorithm={algorithm.name!r}: without integrity, memory does not tell keys apart",
            "option-heap-integrity",
        )
    memory = size_from(options["memory"], "memory", "option-memory")
    if memory < heap_bytes + PAGE_SIZE:
        raise ConfigurationError(
            f"memory={options['memory']!r}: the heap has {heap_bytes} bytes, and PCONFIG's structure a page "
            "behind them",
            "option-heap-memory",
        )
