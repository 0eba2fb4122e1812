"""What iced reads against what other decoders read, over accepted encodings, enumerated and random."""

from __future__ import annotations

import random
import re
import time
from collections.abc import Iterator, Sequence
from typing import Any, Final

from tests.campaign.accepted_forms import accepted
from tests.campaign.decoders_elsewhere import PEERS, Memory, Peer, Reading, iced
from tests.campaign.part import Tally
from tmebox.verify.bases import TABLES
from tmebox.verify.decoded import decode
from tmebox.verify.forms import classify

_BATCH: Final = 1000
_PREFIXES: Final = b"\x26\x2e\x36\x3e\x64\x65\x66\x67\xf0\xf2\xf3\x40\x41\x48\x4c"
_ATT: Final = frozenset(("objdump", "LLVM"))
_CONDITIONS: Final = {
    "z": "e", "nz": "ne", "nb": "ae", "nbe": "a", "nl": "ge", "nle": "g", "nae": "b", "na": "be", "nge": "l",
    "ng": "le", "pe": "p", "po": "np", "c": "b", "nc": "ae",
}  # fmt: skip
_ATT_NAMES: Final = (
    (r"movzx", r"movz[bw][wlq]"),
    (r"movsx", r"movs[bw][wlq]"),
    (r"movsxd", r"movslq?"),
    (r"mov", r"movabsq?"),
    (r"cdqe", r"cltq"),
    (r"cwde", r"cwtl"),
    (r"cbw", r"cbtw"),
    (r"cdq", r"cltd"),
    (r"cqo", r"cqto"),
    (r"cwd", r"cwtd"),
    (r"stosd", r"stosl?"),
    (r"stos[bwq]", r"stos"),
    (r"movsd", r"movsl"),
    (r"wait", r"fwait"),
    (r"(v?)cmp(pd|ps|sd|ss)", r"v?cmp\w+(pd|ps|sd|ss)"),
    (r"(v?)pclmulqdq", r"v?pclmul[lh]q[lh]qdq"),
    (r"fi?(ld|add|mul|com|comp|sub|subr|div|divr|st|stp|sttp)", r"f\w+(s|l|ll|t|q)"),
    (r"f(sub|div)r?p?", r"f(sub|div)r?p?"),
    (r"fnstsw|fnstcw|fnclex|fninit", r"f\w+"),
)
"""What AT&T's syntax calls some instructions, beside a letter for their size: expressions for both names."""
_LANES: Final = r"v?(pinsr[bw]|pextr[bw]|extractps|pmovmskb|movmskp[sd])"
_WITH_XMM0: Final = r"sha256rnds2|p?blendvp?[bsd]"
EXPLAINED: Final = (
    ("Zydis", "wait", "mnemonic fwait", "two names"),
    ("Zydis", "nop", "registers .*", "a register that nop ignores is shown as an operand"),
    ("Zydis|objdump", "nop", "memory Memory\\(segment='', .*", "cs pads a nop, and means nothing there"),
    ("capstone", "mov", "mnemonic movabs", "two names"),
    ("capstone|LLVM", "fu?comip", "mnemonic fu?compi", "two names"),
    ("capstone", "v?cmp(pd|ps|sd|ss)", r"mnemonic v?cmp\w+(pd|ps|sd|ss)", "its name says which comparison"),
    ("objdump", "nop", r"(mnemonic (rex\.W|xchg)|registers ax)", "90 with a prefix is xchg of a register"),
)
"""Peer, mnemonic and difference, each an expression that matches all of it, and the reason."""


def differences(ours: Reading, theirs: Reading | None, peer: str) -> Iterator[str]:
    """How two readings of one encoding differ, as far as the decoders' syntaxes can be compared."""
    if theirs is None:
        yield "no instruction"
        return
    if ours.size_bytes != theirs.size_bytes:
        yield f"{theirs.size_bytes} bytes"
    if not is_same_mnemonic(ours.mnemonic, theirs.mnemonic, peer in _ATT):
        yield f"mnemonic {theirs.mnemonic}"
    if re.fullmatch(r"(stos|movs)[bwdq]", ours.mnemonic) and ours.memory is None and not _vectors(ours):
        return  # their operands are implicit, and shown differently
    if _plain(ours.registers, ours.mnemonic) != _plain(theirs.registers, ours.mnemonic):
        yield f"registers {' '.join(sorted(theirs.registers))}"
    if not _is_same_place(ours.memory, theirs.memory):
        yield f"memory {theirs.memory}"


def _vectors(reading: Reading) -> bool:
    return any(name.startswith("xmm") for name in reading.registers)


def is_same_mnemonic(ours: str, theirs: str, is_att: bool) -> bool:
    ours, theirs = _condition(ours), _condition(theirs)
    if ours == theirs or (is_att and re.fullmatch(re.escape(ours) + r"[bwlqxy]", theirs)):
        return True
    if is_att and theirs[:-1] and _condition(theirs[:-1]) == ours:
        return True
    return is_att and any(
        re.fullmatch(mine, ours) and re.fullmatch(other, theirs) for mine, other in _ATT_NAMES
    )


def _condition(mnemonic: str) -> str:
    found = re.fullmatch(r"(j|cmov|set)(\w+)", mnemonic)
    return found[1] + _CONDITIONS.get(found[2], found[2]) if found else mnemonic


def _plain(names: frozenset[str], mnemonic: str) -> frozenset[str]:
    """Register names as most spell them.

    st0 is often left out, and so is xmm0 where it is implicit. Where W is ignored, 32 bits are as good as 64,
    since the upper half is cleared.
    """
    plain = {re.sub(r"^(r\d+)l$", r"\1b", name) for name in names} - {"st0"}
    if re.fullmatch(_WITH_XMM0, mnemonic):
        plain.add("xmm0")
    if re.fullmatch(_LANES, mnemonic):
        plain = {re.sub(r"^e(..)$", r"r\1", re.sub(r"^(r\d+)d$", r"\1", name)) for name in plain}
    return frozenset(plain)


def _is_same_place(ours: Memory | None, theirs: Memory | None) -> bool:
    if ours is None or theirs is None:
        return ours == theirs
    same = ours._replace(displacement=0) == theirs._replace(displacement=0)
    return same and (ours.displacement - theirs.displacement) % (1 << 32) == 0


def explained(peer: str, mnemonic: str, difference: str) -> bool:
    return any(
        re.fullmatch(peers, peer) and re.fullmatch(mnemonics, mnemonic) and re.fullmatch(what, difference)
        for peers, mnemonics, what, _ in EXPLAINED
    )


def compare(peer: Peer, encodings: Sequence[bytes]) -> list[str]:
    """Each difference of a peer that is not explained, as a text."""
    findings = []
    if peer.wrong_about is not None:
        encodings = [encoding for encoding in encodings if not peer.wrong_about.match(encoding)]
    for encoding, theirs in zip(encodings, peer.read(encodings), strict=True):
        ours = iced(encoding)
        if ours is None:
            raise ValueError(f"not accepted: {encoding.hex(' ')}")
        for difference in differences(ours, theirs, peer.name):
            if not explained(peer.name, ours.mnemonic, difference):
                findings.append(f"{encoding.hex(' ')}: {ours.mnemonic}; {peer.name}: {difference}")
    return findings


def variants(chance: random.Random, encodings: Sequence[bytes]) -> list[bytes]:
    """Encodings that the verifier accepts as well, a random byte away from these or a prefix longer."""
    found = []
    for encoding in chance.choices(encodings, k=4 * _BATCH):
        changed = bytearray(encoding)
        if chance.random() < 0.2:
            changed[:0] = bytes(
                [chance.choice(b"\x26\x2e\x36\x3e\x64\x65\x66\x67\xf0\xf2\xf3\x40\x41\x48\x4c")]
            )
        else:
            changed[chance.randrange(len(changed))] = chance.randrange(256)
        candidate = bytes(changed)
        if decode(candidate) is not None and not classify(candidate, TABLES["gs"]).refusals:
            found.append(candidate)
    return found


class Decoders:
    name = "decoders"

    def run(self, seed: int, deadline_s: float, state: Any) -> tuple[Tally, Any]:
        """state: how many batches are done: those of enumerated forms first, then random ones without end."""
        tally = Tally()
        peers = [peer for peer in PEERS if peer.missing() is None]
        for peer in PEERS:
            reason = peer.missing()
            if reason:
                tally.count(f"not compared with {peer.name}: {reason}")
        encodings = [form.decoded.encoding for form in accepted()]
        random.Random(seed).shuffle(encodings)
        batches = -(-len(encodings) // _BATCH)
        begun = done = state["done"] if state and state.get("seed") == seed else 0
        while done == begun or time.monotonic() < deadline_s:
            if done < batches:
                batch = encodings[done * _BATCH : (done + 1) * _BATCH]
            else:
                batch = variants(random.Random(f"{seed} {done}"), encodings)
            for peer in peers:
                tally.findings += compare(peer, batch)
                tally.count(f"encodings compared with {peer.name}", len(batch))
            done += 1
        return tally, {"seed": seed, "done": done}


PART = Decoders()
