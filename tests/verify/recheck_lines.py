"""One instruction as objdump tells it."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Line:
    address: int
    encoding: bytes
    mnemonic: str
    operands: str

    @property
    def text(self) -> str:
        return f"{self.mnemonic} {self.operands}".strip()

    def __str__(self) -> str:
        return f"{self.address:#x}: {self.encoding.hex(' ')}: {self.text}"
