"""What the model raises. Each error names the rule that it comes from."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tmebox.errors import TmeboxError
from tmebox.tme.rules import RULES

if TYPE_CHECKING:
    from tmebox.tme.machine_check import MachineCheck


class TmeError(TmeboxError):
    """Base of the model's errors. `rule` is a name in tme.RULES, `section` where the rule stands."""

    def __init__(self, message: str, rule: str) -> None:
        self.rule = rule
        self.section = RULES[rule].section
        super().__init__(f"{message} (rule {rule}: {self.section})")


class ConfigurationError(TmeError, ValueError):
    """A machine that cannot be: an option's value, or two that contradict each other."""


class GeneralProtection(TmeError):
    """#GP(0)."""


class UndefinedInstruction(TmeError):
    """#UD."""


class AccessError(TmeError):
    """An access that no memory answers: outside of it, or with a KeyID that is not there or may not be
    used."""


class PconfigError(TmeError):
    """PCONFIG answered with a status that is not 0; `status` is that number."""

    def __init__(self, status: int, message: str, rule: str) -> None:
        self.status = status
        super().__init__(f"PCONFIG: status {status}: {message}", rule)


class IntegrityError(TmeError):
    """A machine check: what was read is not what the KeyID's key wrote, or was found bad before.

    `kind` is "integrity", "td-mismatch" or "poison"; `address` is the line's, without KeyID; `access` is
    "read", "write", "flush" or another; `record` is what the hardware logs. Hardware delivers it some time
    after the access, the model at once.
    """

    def __init__(self, kind: str, access: str, record: MachineCheck, rule: str) -> None:
        self.kind = kind
        self.access = access
        self.record = record
        self.address = record.physical_address
        self.key_id = record.key_id
        text = {
            "integrity": "the MAC in DRAM does not fit",
            "td-mismatch": "a private KeyID found a line that no private KeyID wrote",
            "poison": "the line is poisoned",
        }[kind]
        super().__init__(
            f"machine check: {access} of line {self.address:#x} with KeyID {self.key_id}: {text}; "
            f"bank {record.bank}, status {record.status:#018x}, address {record.address:#x}",
            rule,
        )


class TranslationFault(TmeError):
    """A walk that ends without an address. `kind` is "page-fault", "ept-violation", "ept-misconfiguration" or
    "dma-fault"; `address` what was to be translated; `level` the table's, from 5 or 4 down to 1, or 0."""

    def __init__(self, kind: str, address: int, level: int, message: str, rule: str) -> None:
        self.kind = kind
        self.address = address
        self.level = level
        super().__init__(f"{kind} at {address:#x}, level {level}: {message}", rule)
