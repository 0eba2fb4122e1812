"""PCONFIG on a machine: the structure in its memory, the checks, the key table."""

from __future__ import annotations

from tmebox.tme import pconfig as instruction
from tmebox.tme.algorithms import ALGORITHMS, Algorithm
from tmebox.tme.faults import GeneralProtection, PconfigError, UndefinedInstruction
from tmebox.tme.inspection import Inspected
from tmebox.tme.memory_path import ReadyKey
from tmebox.tme.options import LINE


class Programmed(Inspected):
    """The part of a machine that programs keys."""

    def pconfig(
        self,
        key_id: int,
        command: instruction.Command = "random",
        *,
        algorithm: str | None = None,
        key: bytes = b"",
        tweak_key: bytes = b"",
    ) -> None:
        """Program a KeyID. PconfigError if the status is not 0.

        command: "direct" uses key and tweak_key (16 or 32 bytes); "random" draws them and mixes these in;
        "clear" goes back to the platform's key, "no-encrypt" to plain text. algorithm: the machine's own, if
        none is named. The structure is built in the last 256 bytes of memory, under KeyID 0, and zeroed
        afterwards; pconfig_at takes one of yours.
        """
        if command not in instruction.COMMANDS:
            raise ValueError(f"command={command!r}: expected one of {', '.join(instruction.COMMANDS)}")
        if algorithm is not None and algorithm not in ALGORITHMS:
            raise ValueError(f"algorithm={algorithm!r}: expected one of {', '.join(ALGORITHMS)}")
        if not 0 <= key_id < 1 << 16:
            raise ValueError(f"key_id={key_id}: a KeyID has 16 bits")
        chosen = ALGORITHMS[algorithm or self.options.algorithm]
        if command == "direct" and not len(key) == len(tweak_key) == chosen.key_size:
            raise ValueError(f"{chosen.name} has a key and a tweak_key of {chosen.key_size} bytes each")
        if max(len(key), len(tweak_key)) > chosen.key_size:
            raise ValueError(f"{chosen.name} has keys of at most {chosen.key_size} bytes")
        number = instruction.COMMANDS.index(command)
        program = instruction.KeyProgram.of(key_id, number, chosen.bit, key, tweak_key)
        address = self.options.memory - instruction.STRUCTURE_SIZE
        self._store_lines(address, program.pack())
        try:
            status = self.pconfig_at(address)
        finally:
            self._store_lines(address, bytes(instruction.STRUCTURE_SIZE))
        if status:
            raise PconfigError(status, *instruction.STATUS[status])

    def pconfig_at(
        self, address: int, leaf: int = instruction.MKTME_KEY_PROGRAM, *, seam: bool = False
    ) -> int:
        """The instruction: EAX = leaf, RBX = a physical address, KeyID bits included, of the structure.
        Returns RAX; ZF is set if that is not 0. #UD and #GP are exceptions. Programming touches no cache and
        no TLB."""
        if self.privilege_level != 0:
            raise UndefinedInstruction("PCONFIG above privilege level 0", "pconfig-privilege")
        if leaf != instruction.MKTME_KEY_PROGRAM or self.options.most_key_id_bits == 0:
            raise GeneralProtection(f"PCONFIG leaf {leaf}", "pconfig-leaf")
        registers = self.registers
        if not registers.enabled or registers.key_bits == 0:
            raise GeneralProtection("PCONFIG before TME-MK was activated", "pconfig-active")
        if address % instruction.STRUCTURE_SIZE:
            raise GeneralProtection(f"PCONFIG structure at {address:#x}", "pconfig-aligned")
        data = self.read(address, instruction.LOADED_SIZE)
        program = instruction.KeyProgram.unpack(data)
        private = registers.tdx_bits and not seam
        highest = (1 << (registers.key_bits - (registers.tdx_bits if private else 0))) - 1
        space = instruction.KeySpace(
            registers.key_bits, highest, registers.algorithms, self.options.pconfig_checks == "manual"
        )
        status, algorithm = instruction.check(program, space)
        if status:
            return status
        if self.busy:
            return instruction.DEVICE_BUSY
        return self._program(program, algorithm)

    def _program(self, program: instruction.KeyProgram, algorithm: Algorithm | None) -> int:
        command = instruction.COMMANDS[program.command]
        size = algorithm.key_size if algorithm else 16
        keys = program.key_field_1[:size], program.key_field_2[:size]
        if command == "random":
            if self._entropy_fails:
                self._entropy_fails -= 1
                return instruction.ENTROPY_ERROR
            data, tweak = (
                bytes(ours ^ theirs for ours, theirs in zip(self._random(size), given, strict=True))
                for given in keys
            )
            keys = data, tweak
        key_id = program.key_id
        self._secrets.pop(key_id, None)
        if command in ("direct", "random"):
            self._secrets[key_id] = keys
            self._slots[key_id] = "key", algorithm
        elif command == "clear":
            self._slots[key_id] = "platform", self._policy
        else:
            self._slots[key_id] = "plain", None
        if key_id < 1 << self.registers.core_key_bits:
            self._set_key(key_id, self._ready_key(key_id))
        return instruction.SUCCESS

    def _store_lines(self, address: int, data: bytes) -> None:
        for start in range(0, len(data), LINE):
            self.direct_store(address + start, data[start : start + LINE], key_id=0)

    def _ready_key(self, key_id: int) -> ReadyKey:
        """The key that a KeyID has now, for the memory path."""
        mode, algorithm = self._slots.get(key_id, ("platform", self._policy))
        keys = self._platform if mode == "platform" else self._secrets.get(key_id, (b"", b""))
        if mode == "plain" or (key_id == 0 and self.registers.bypassed):
            keys, algorithm = (b"", b""), None
        return *keys, bool(algorithm and algorithm.integrity)

    def _install(self) -> None:
        """Hand the memory path the layout of addresses and all keys, in one step: what shares the machine
        meets no KeyID between two keys."""
        registers = self.registers
        bits = registers.core_key_bits
        first_private = 1 << (bits - registers.tdx_bits) if registers.tdx_bits and bits else 1 << bits
        others = self._ready_key(1 << bits)  # one object for all KeyIDs that nobody programmed
        special = {0, *self._slots}
        self._configure(
            self.options.physical_bits,
            bits,
            first_private,
            registers.exclude_base,
            registers.exclude_mask & ~0xFFF,
            registers.excluding,
            tuple(self._ready_key(at) if at in special else others for at in range(1 << bits)),
            self._mac_key,
        )
