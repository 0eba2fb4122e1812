"""CPU features: what the verifier can ask for, the core can answer."""

from pathlib import Path

from tmebox import _native
from tmebox.verify import instructions as known


def test_the_core_knows_every_feature_that_an_accepted_instruction_may_need() -> None:
    """A feature that it does not know is a module that never loads."""
    assert {name for name in known.FEATURES.values() if name} <= _native.cpu_features().keys()


def test_features_are_there_where_the_kernel_says_so() -> None:
    flags = set(Path("/proc/cpuinfo").read_text().partition("flags")[2].partition("\n")[0].split())
    needed = {name for name in known.FEATURES.values() if name}
    assert {name for name in needed if _native.cpu_features()[name]} == needed & flags
