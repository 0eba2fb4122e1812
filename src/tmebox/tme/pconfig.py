"""PCONFIG's leaf MKTME_KEY_PROGRAM: its structure of 256 bytes, its checks, and what they answer.

Offsets: AMET Table 6-4. The checks are in the order of the specification's description of the operation.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from typing import Literal, get_args

from tmebox.tme.algorithms import Algorithm, by_bits
from tmebox.tme.faults import GeneralProtection

STRUCTURE_SIZE = 256
LOADED_SIZE = 192
"""What the instruction reads of it."""
MKTME_KEY_PROGRAM = 0
TARGET_MKTME = 1

Command = Literal["direct", "random", "clear", "no-encrypt"]
COMMANDS: tuple[Command, ...] = get_args(Command)

SUCCESS, INVALID_COMMAND, ENTROPY_ERROR, INVALID_KEY_ID, INVALID_ALGORITHM, DEVICE_BUSY = range(6)
STATUS = {
    SUCCESS: ("done", ""),
    INVALID_COMMAND: ("there is no such command", "pconfig-command"),
    ENTROPY_ERROR: ("the random number generator had no entropy: try again", "pconfig-entropy"),
    INVALID_KEY_ID: ("KeyID 0, too large, or not TME-MK's", "pconfig-key-id"),
    INVALID_ALGORITHM: ("not exactly one algorithm, or one that was not activated", "pconfig-algorithm"),
    DEVICE_BUSY: ("the key table is in use: try again", "pconfig-busy"),
}
"""What each status says, and its rule."""
CONTROL_RESERVED = 0xFF00_0000


@dataclass(frozen=True)
class KeyProgram:
    """MKTME_KEY_PROGRAM_STRUCT. `control` is command, then the algorithm's bit shifted by 8. The keys are not
    in its repr."""

    key_id: int
    control: int
    key_field_1: bytes = field(default=bytes(64), repr=False)
    key_field_2: bytes = field(default=bytes(64), repr=False)
    reserved: bytes = bytes(58)

    @classmethod
    def of(cls, key_id: int, command: int, algorithm_bits: int, key: bytes, tweak_key: bytes) -> KeyProgram:
        return cls(key_id, command | algorithm_bits << 8, key.ljust(64, b"\0"), tweak_key.ljust(64, b"\0"))

    @classmethod
    def unpack(cls, data: bytes) -> KeyProgram:
        key_id, control, reserved = struct.unpack_from("<HI58s", data)
        return cls(key_id, control, data[64:128], data[128:192], reserved)

    def pack(self) -> bytes:
        head = struct.pack("<HI58s", self.key_id, self.control, self.reserved)
        return (head + self.key_field_1 + self.key_field_2).ljust(STRUCTURE_SIZE, b"\0")

    @property
    def command(self) -> int:
        return self.control & 0xFF

    @property
    def algorithm_bits(self) -> int:
        return self.control >> 8 & 0xFFFF


@dataclass(frozen=True)
class KeySpace:
    """What the checks need to know of the machine: KeyID bits, the highest usable KeyID, the bits of allowed
    algorithms, and whether the manual's checks or the specification's are in force."""

    key_bits: int
    highest: int
    algorithms: int
    manual: bool


def check(program: KeyProgram, space: KeySpace) -> tuple[int, Algorithm | None]:
    """The status before the key table is touched, and the algorithm. #GP for what is reserved, and, with the
    manual's checks, for what the specification answers with a status."""
    reserved = program.reserved.strip(b"\0") != b"" or bool(program.control & CONTROL_RESERVED)
    algorithm = by_bits(program.algorithm_bits)
    if algorithm is not None:
        fields = (program.key_field_1, program.key_field_2)
        reserved = reserved or any(one[algorithm.key_size :].strip(b"\0") != b"" for one in fields)
    if reserved:
        raise GeneralProtection("PCONFIG: reserved bytes or bits are not 0", "pconfig-reserved")
    status = SUCCESS
    if program.command >= len(COMMANDS):
        status = INVALID_COMMAND
    elif program.key_id == 0 or program.key_id >> space.key_bits or program.key_id > space.highest:
        status = INVALID_KEY_ID
    elif algorithm is None or not algorithm.bit & space.algorithms:
        status = INVALID_ALGORITHM
    if status and space.manual:
        text, _ = STATUS[status]
        raise GeneralProtection(f"PCONFIG: {text}", "pconfig-checks")
    return status, algorithm
