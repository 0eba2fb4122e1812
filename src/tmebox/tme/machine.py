"""A machine with TME-MK: registers, PCONFIG, reset and the errors, on top of a memory path.

`Machine` has the memory path in C, `tme.reference.ReferenceMachine` the slow one in Python. Everything here
is the same for both.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import NoReturn, SupportsIndex

from tmebox._native import TmeEngine
from tmebox.tme import registers as msr
from tmebox.tme.algorithms import ALGORITHMS, by_number
from tmebox.tme.dram import Dram
from tmebox.tme.faults import AccessError, GeneralProtection, IntegrityError
from tmebox.tme.machine_check import Banks, MachineCheck
from tmebox.tme.options import (
    LINE,
    REPLACEMENTS,
    Detection,
    Options,
    PconfigChecks,
    Replacement,
    size_from,
)
from tmebox.tme.pconfig import TARGET_MKTME
from tmebox.tme.programming import Programmed

MACHINE_CHECKS = {
    1: ("integrity", "integrity-mismatch"),
    2: ("td-mismatch", "td-mismatch"),
    3: ("poison", "poison-sticky"),
}
"""Outcomes of native/tme/machine.h, and the rules that name them."""
KEPT_CHECKS = 4096
"""The last ones that `machine_checks` keeps at least: sandboxed code can cause them without end."""
REFUSALS = {
    4: ("no memory is there", "address-in-memory"),
    5: ("there is no such KeyID", "key-id-range"),
    6: ("the address has another KeyID", "key-id-once"),
    7: ("the KeyID is private, and the core is not in SEAM mode", "private-needs-seam"),
    8: ("the line is cached under another KeyID", "alias-forbidden"),
}


class Modelled(Programmed):
    """Everything but the memory path. `Machine` says what the options mean."""

    def __init__(
        self,
        memory: int | str = "64MiB",
        key_id_bits: int = 6,
        algorithm: str = "aes-xts-128-integrity",
        *,
        coherent_aliases: bool = False,
        aliases_forbidden: bool = False,
        detection: Detection = "paper",
        cache: int | str | None = "1MiB",
        ways: int = 16,
        replacement: Replacement = "lru",
        physical_bits: int = 52,
        most_key_id_bits: int | None = None,
        tdx_key_id_bits: int = 0,
        algorithms: Sequence[str] = tuple(ALGORITHMS),
        bypass: bool = False,
        exclusion: tuple[int, int] | None = None,
        mac_bits: int = 28,
        pconfig_checks: PconfigChecks = "specification",
        events: int = 4096,
        seed: int | None = None,
        path: str | None = None,
    ) -> None:
        self.options = Options(
            memory=size_from(memory, "memory", "option-memory"),
            key_id_bits=key_id_bits,
            algorithm=algorithm,
            coherent_aliases=coherent_aliases,
            aliases_forbidden=aliases_forbidden,
            detection=detection,
            cache=0 if cache is None else size_from(cache, "cache", "option-cache"),
            ways=1 if cache is None or cache == 0 else ways,
            replacement=replacement,
            physical_bits=physical_bits,
            most_key_id_bits=key_id_bits if most_key_id_bits is None else most_key_id_bits,
            tdx_key_id_bits=tdx_key_id_bits,
            algorithms=tuple(algorithms),
            bypass=bypass,
            exclusion=exclusion,
            mac_bits=mac_bits,
            pconfig_checks=pconfig_checks,
            events=events,
            seed=seed,
        )
        self.options.check()
        self._seed = seed
        self._drawn = 0
        self._entropy_fails = 0
        self.busy = False
        self.privilege_level = 0
        self._saved: tuple[tuple[bytes, bytes], bytes] | None = None
        self._build(path)
        self.dram = Dram(self)
        self.machine_checks: list[MachineCheck] = []
        self._power_on()

    # -- the memory path, which a subclass has
    def _build(self, path: str | None) -> None:
        raise TypeError("a machine needs a memory path: use tme.Machine")

    def _dram(self) -> memoryview:
        raise TypeError("a machine needs a memory path: use tme.Machine")

    # -- life
    def _power_on(self) -> None:
        self.registers = msr.Registers(self.options, self)
        self._banks = Banks()
        self._secrets = {}
        self._slots = {}
        self._platform = (b"", b"")
        self._policy = None
        self._mac_key = self._random(16)
        self._install()
        self._seams = 0
        self._set_seam(False)

    def reset(self) -> None:
        """Power and reset: caches and all keys are gone, the registers are as at first, and DRAM still holds
        what it held.

        Use activate() again; the platform's key is then another one."""
        self._saved = None
        self._restart()

    def standby(self) -> None:
        """Reset, but a platform key that was saved (bit 3 of 0x982), and the MAC key with it, can be restored
        (bit 2). Then DRAM is what it was under the platform's key. Keys of other KeyIDs are lost."""
        self._restart()

    def _restart(self) -> None:
        self._forget()
        self._power_on()

    def activate(self) -> None:
        """What firmware does: exclusion range, IA32_TME_ACTIVATE with the machine's options,
        MK_TME_CORE_ACTIVATE.

        Raises GeneralProtection if that was done before, and if there is no entropy for a platform key."""
        options = self.options
        if options.exclusion is not None:
            base, size = options.exclusion
            self.wrmsr(msr.EXCLUDE_BASE, base)
            self.wrmsr(msr.EXCLUDE_MASK, (1 << options.physical_bits) - size | msr.MASK_ENABLE)
        self.wrmsr(msr.ACTIVATE, self.activation())
        if not self.registers.enabled:
            raise GeneralProtection("WRMSR of 0x982 enabled nothing: no entropy", "activate-entropy")
        if options.key_id_bits:
            self.wrmsr(msr.CORE_ACTIVATE, 0)

    def activation(self) -> int:
        """The value of IA32_TME_ACTIVATE that the options ask for."""
        options = self.options
        value = msr.ENABLE | ALGORITHMS[options.algorithm].number << 4
        value |= msr.BYPASS if options.bypass else 0
        if options.key_id_bits:
            value |= options.key_id_bits << 32 | options.tdx_key_id_bits << 36
            value |= sum(ALGORITHMS[name].bit for name in options.algorithms) << 48
        return value

    # -- registers and CPUID
    def rdmsr(self, index: int) -> int:
        """RDMSR; GeneralProtection where the instruction gives #GP."""
        self._need_privilege("RDMSR")
        value = self._banks.read(index)
        return self.registers.read(index) if value is None else value

    def wrmsr(self, index: int, value: int) -> None:
        """WRMSR; GeneralProtection where the instruction gives #GP."""
        self._need_privilege("WRMSR")
        if not 0 <= value < 1 << 64:
            raise ValueError(f"value={value:#x}: a register has 64 bits")
        written = self._banks.write(index, value)
        if written is False:
            raise GeneralProtection(f"WRMSR of {index:#x} with {value:#x}: only 0 clears it", "msr-read-only")
        if written is None:
            self.registers.write(index, value)

    def _need_privilege(self, what: str) -> None:
        if self.privilege_level != 0:
            raise GeneralProtection(f"{what} at privilege level {self.privilege_level}", "msr-privilege")

    def cpuid(self, leaf: int, subleaf: int = 0) -> tuple[int, int, int, int]:
        """(eax, ebx, ecx, edx) as far as memory encryption is concerned; zeros for the rest."""
        many = self.options.most_key_id_bits > 0
        if leaf == 7 and subleaf == 0:
            return 0, 0, 1 << 13, 1 << 18 if many else 0
        if leaf == 0x1B and subleaf == 0 and many:
            return 1, TARGET_MKTME, 0, 0
        if leaf == 0x8000_0008:
            return self.options.physical_bits | 57 << 8, 0, 0, 0
        return 0, 0, 0, 0

    # -- what the registers ask for
    def new_platform_key(self, policy: int) -> bool:
        """Called by the registers."""
        if self._entropy_fails:
            self._entropy_fails -= 1
            return False
        size = self._size(policy)
        self._platform = self._random(size), self._random(size)
        return True

    def restore_platform_key(self, policy: int) -> bool:
        """Called by the registers."""
        if self._saved is None or len(self._saved[0][0]) != self._size(policy):
            return False
        self._platform, self._mac_key = self._saved
        return True

    def save_platform_key(self) -> None:
        """Called by the registers."""
        self._saved = self._platform, self._mac_key

    def use_key_ids(self) -> None:
        """Called by the registers: the layout of addresses and the keys follow what they say now."""
        self._policy = by_number(msr.field(self.registers.activate, 7, 4))
        self._install()

    def _size(self, policy: int) -> int:
        algorithm = by_number(policy)
        return algorithm.key_size if algorithm else 16

    # -- memory
    def clear(self, address: int, size: int, *, key_id: int = 0) -> None:
        """Zero whole lines through a KeyID with direct stores, as a kernel prepares a page for it."""
        if address % LINE or size % LINE or size < 0:
            raise ValueError(f"clear() takes whole lines of {LINE} bytes")
        for start in range(address, address + size, LINE):
            self.direct_store(start, bytes(LINE), key_id=key_id)

    def flush(self, address: int | None = None, size: int = LINE, *, key_id: int | None = None) -> None:
        """Write dirty lines back and drop them: all (WBINVD), or those of a range under one KeyID
        (CLFLUSH)."""
        if address is None:
            self._flush_all()
        elif key_id is None:
            self._flush_lines(address, size)
        else:
            self._flush_lines(address, size, key_id=key_id)

    @contextmanager
    def seam(self) -> Iterator[None]:
        """Inside, the core is in SEAM mode and may use private KeyIDs, as the TDX module does. It leaves that
        mode with the outermost block, or by a reset."""
        self._seams += 1
        self._set_seam(True)
        try:
            yield
        finally:
            self._seams = max(0, self._seams - 1)
            self._set_seam(self._seams > 0)

    @property
    def key_shift(self) -> int:
        """Where the KeyID begins in a physical address."""
        return self.options.physical_bits - self.registers.core_key_bits

    def physical(self, address: int, key_id: int) -> int:
        """A physical address with its KeyID, as page tables hold it. AccessError if there is no such KeyID,
        or if the address has another one."""
        if not 0 <= key_id < 1 << self.registers.core_key_bits:
            raise AccessError(f"an address with KeyID {key_id}", "key-id-range")
        if not 0 <= address < 1 << self.options.physical_bits:
            raise AccessError(
                f"{address:#x}: a physical address has {self.options.physical_bits} bits", "address-in-memory"
            )
        if address >> self.key_shift not in (0, key_id):
            raise AccessError(
                f"{address:#x} with KeyID {key_id}: it has KeyID {address >> self.key_shift}", "key-id-once"
            )
        return address | key_id << self.key_shift

    def _fault(self, outcome: int, address: int, key_id: int, access: str) -> NoReturn:
        """Called by the memory path: turns an outcome into its error."""
        if outcome in REFUSALS:
            text, rule = REFUSALS[outcome]
            raise AccessError(f"{access} at {address:#x} with KeyID {key_id}: {text}", rule)
        kind, rule = MACHINE_CHECKS[outcome]
        raise IntegrityError(kind, access, self.log_check(outcome, address, key_id), rule)

    def log_check(self, outcome: int, address: int, key_id: int) -> MachineCheck:
        """Log what somebody found who reads DRAM past the memory path, as a shared heap does: outcome of
        native/tme/machine.h, a key of MACHINE_CHECKS."""
        kind, _ = MACHINE_CHECKS[outcome]
        record = self._banks.log(kind, address // LINE * LINE, key_id, self.key_shift)
        self.machine_checks.append(record)
        if len(self.machine_checks) > 2 * KEPT_CHECKS:
            del self.machine_checks[:-KEPT_CHECKS]
        return record

    def __reduce_ex__(self, protocol: SupportsIndex) -> NoReturn:
        raise TypeError(f"cannot pickle {type(self).__name__!r} object: it holds keys")

    def __repr__(self) -> str:
        state = "active" if self.registers.enabled else "not activated"
        size = self.options.memory
        return f"<{type(self).__name__}: {size} bytes, {self.options.algorithm}, {state}>"


class Machine(Modelled, TmeEngine):
    """A machine with TME-MK, bit for bit where the specification is public.

    memory, cache: bytes, or text such as "64MiB"; cache None: no cache. key_id_bits: KeyIDs 0 to
    2^key_id_bits - 1. algorithm: of KeyID 0, and of pconfig() where none is named: "aes-xts-128",
    "aes-xts-256", and both with "-integrity". algorithms: those that the part has. coherent_aliases: whether
    one line under two KeyIDs is kept coherent, as the paper says, or is not, as Intel says.
    aliases_forbidden: it must not happen (bit 8 of MSR 0x6F). detection: "paper": only reads are checked,
    nothing is poisoned; "specification": ownership reads too, and what is wrong stays poisoned. ways,
    replacement ("lru", "fifo", "random", "tree"): of the cache. physical_bits: MAXPHYADDR. most_key_id_bits:
    what the part could do. tdx_key_id_bits: KeyID bits that TDX has. bypass: KeyID 0 is plain text.
    exclusion: (base, size) that is. mac_bits: fewer than 28 weaken the MAC, to measure forgeries.
    pconfig_checks: a status, or #GP as in the manual. events: how many trace() keeps. seed: draw keys from it
    instead of the system, so that everything repeats. path: "portable", "aesni", "avx2" or "avx512" instead
    of the CPU's best.

    Raises ConfigurationError, with its rule, for what cannot be. Timing is not modelled, and machine checks
    come at once.
    """

    _engine: type[TmeEngine] = TmeEngine

    def _build(self, path: str | None) -> None:
        options = self.options
        self._engine.__init__(
            self,
            memory=options.memory,
            sets=options.sets,
            ways=options.ways,
            replacement=REPLACEMENTS.index(options.replacement),
            seed=self._seed or 1,
            kept_events=options.events,
            uncached=options.cache == 0,
            coherent=options.coherent_aliases,
            forbidden=options.aliases_forbidden,
            paper=options.detection == "paper",
            mac_bits=options.mac_bits,
            path=path,
        )

    def _dram(self) -> memoryview:
        return memoryview(self)
