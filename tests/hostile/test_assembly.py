"""Assembly-level attacks: the toolchain refuses to build them, and the verifier what did get built."""

from __future__ import annotations

import functools
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import tmebox
from tests.hostile.scene import attack
from tmebox import CompileError, Module, VerificationError, abi
from tmebox.modulefile import codec
from tmebox.modulefile.file import ModuleFile

REFUSED = {
    "a-system-call": "syscall",
    "an-old-system-call": "int $0x80",
    "a-fast-system-call": "sysenter",
    "writing-the-gs-base": "wrgsbase %rax",
    "writing-the-fs-base": "wrfsbase %rax",
    "reading-the-fs-base": "rdfsbase %rax",
    "reading-the-gs-base": "rdgsbase %rax",
    "swapping-gs": "swapgs",
    "loading-gs": "movw %ax, %gs",
    "loading-ds": "movw %ax, %ds",
    "popping-fs": "popq %fs",
    "performance-counters": "rdpmc",
    "the-processor's-number": "rdpid %rax",
    "setting-the-direction-flag": "std",
    "disabling-interrupts": "cli",
    "an-io-port": "inb $0x60, %al",
    "an-io-string": "rep outsb",
    "a-far-call": "lcall *(%rax)",
    "a-far-jump": "ljmp *(%rax)",
    "a-far-return": "lretq",
    "an-interrupt-return": "iretq",
    "returning-over-arguments": "retq $8",
    "a-transaction": "xbegin 1f\n1:",
    "a-call-to-the-hypervisor": "vmcall",
    "protection-keys": "wrpkru",
    "extended-state": "xrstor (%rax)",
    "x87-environment": "fldenv (%rax)",
    "fxsave": "fxsave (%rax)",
    "mmx": "movq %rax, %mm0",
    "enter": "enter $16, $1",
    "xlat": "xlatb",
    "comparing-strings": "repe cmpsb",
    "a-wild-stack-load": "lodsq",
    "own-segment": "movq %gs:0, %rax",
    "a-host-thread-local": "movq %fs:0x28, %rax",
    "bytes-of-a-system-call": ".byte 0x0f, 0x05",
    "words-in-text": ".long 0x050f",
    "a-string-in-text": '.ascii "\\x0f\\x05"',
    "a-file-in-text": '.incbin "/etc/passwd"',
    "an-included-file": '.include "/etc/passwd"',
    "a-macro": ".macro m\nsyscall\n.endm\nm",
    "repeated-text": ".rept 2\nnop\n.endr",
    "fill": ".fill 2, 1, 0x90",
    "org": ".org 0x100",
    "a-jump-to-a-number": "jmp 0x1234",
    "a-call-to-a-number": "call 0x41000000",
    "a-jump-into-itself": "jmp .+1",
    "a-jump-to-a-function's-inside": "jmp victim+1",
    "a-store-past-the-cache": "movntiq %rax, (%rax)",
    "a-masked-store-through-rdi": "maskmovdqu %xmm0, %xmm1",
    "zeroing-a-line": "clzero",
    "a-gather": "vgatherdps %ymm0, (%rax,%ymm1,4), %ymm2",
    "a-16-bit-stack-pointer": "movw %ax, %sp",
    "the-stack-pointer's-low-byte": "movb %al, %spl",
    "executable-data": '.section .evil, "awx"\nnop\n.text',
    "switching-to-16-bit-code": ".code16\nnop\n.code64",
    "switching-the-syntax": ".intel_syntax noprefix\nmov rax, [rsp]\n.att_syntax",
}


@pytest.mark.parametrize("name", REFUSED)
def test_inline_assembly_that_cannot_be_made_safe_is_not_built(name: str) -> None:
    body = REFUSED[name].replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    source = (
        f'int victim(int x) {{ return x * 12345; }}\nint f(void) {{ __asm__ volatile("{body}"); return 1; }}'
    )
    with pytest.raises((CompileError, VerificationError)):
        tmebox.compile(source_text=source)


EVERY_FLAG = """
void *memset(void *, int, unsigned long);
static char text[64], other[64];
int f(void)
{
	unsigned long pushed;
	__asm__ volatile("pushq $-1\\n popfq" ::: "cc", "memory");
	__asm__ volatile("pushfq\\n popq %0" : "=r"(pushed));
	char *to = other + 8, *from = text + 8;
	unsigned long count = 16;
	memset(text, 7, sizeof text);
	__asm__ volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(count) :: "memory");
	__asm__ volatile("movl 1(%0), %%eax" :: "r"(text) : "eax", "memory"); /* not aligned */
	return other[8] + other[23] * 10 + (other[7] | other[24]) + (pushed >> 8 & 5 ? 1000 : 0);
}
"""


def test_no_flag_that_confines_nothing_is_set_by_popping_all() -> None:
    """Direction, single steps and alignment checks would outlive the sandbox, or fault in the host."""
    ending = attack(tmebox.compile(source_text=EVERY_FLAG), lambda sandbox: sandbox.f())
    assert ending.value == 77


GATE = ".globl __tmebox_gate_hostcall\\n"
GATE_TRICKS = {
    "defined-in-text": f"{GATE}__tmebox_gate_hostcall: movl $666, %eax\\n ret",
    "set-to-a-number": f"{GATE}.set __tmebox_gate_hostcall, 0x12345678",
    "set-to-the-exit-gate": f"{GATE}.set __tmebox_gate_hostcall, {abi.GATE_EXIT}",
    "set-behind-the-gate": f"{GATE}.set __tmebox_gate_hostcall, {abi.GATE_BASE + 8}",
    "an-import-defined": ".globl imported\\nimported: movl $666, %eax\\n ret",
}


@pytest.mark.parametrize("name", GATE_TRICKS)
def test_a_program_that_defines_the_gate_itself_only_fools_itself(name: str) -> None:
    """It is refused, or calls its own code instead of the host: never another address."""
    source = f'int imported(int);\n__asm__("{GATE_TRICKS[name]}");\nint f(void) {{ return imported(3) + 1; }}'
    try:
        module = tmebox.compile(source_text=source)
    except (CompileError, VerificationError):
        return
    imports = {"imported": lambda x: x + 10}
    ending = attack(module, lambda sandbox: sandbox.f(), imports=imports)
    assert ending.value in (14, 667)


def test_exchanging_the_stack_pointer_leaves_it_in_the_window() -> None:
    body = "movl $0x60000000, %eax\\nxchgq %rax, %rsp\\npushq %rax"
    source = f'int f(void) {{ __asm__ volatile("{body}"); return 1; }}'
    try:
        module = tmebox.compile(source_text=source)
    except CompileError:
        return
    ending = attack(module, lambda sandbox: sandbox.f())
    assert (ending.exception, ending.offset) == ("MemoryFault", (0x6000_0000 & abi.RSP_MASK) - 8)


def test_top_level_assembly_is_no_way_around() -> None:
    source = '__asm__(".globl f\\nf: movl $60, %eax\\n syscall\\n ret"); int g(void) { return 1; }'
    with pytest.raises((CompileError, VerificationError)):
        tmebox.compile(source_text=source)


@pytest.mark.parametrize(
    "source",
    [
        '#include "/etc/passwd"\nint f(void) { return 1; }',
        '#include "../../../../../../../../etc/hostname"\nint f(void) { return 1; }',
        "#include </etc/hostname>\nint f(void) { return 1; }",
        'static const char data[] = {\n#embed "/etc/passwd"\n};\nint f(void) { return data[0]; }',
        '__asm__(".section .rodata\\n.incbin \\"/etc/passwd\\"\\n.text");\nint f(void) { return 1; }',
        "#pragma clang module import Evil\n#include_next </etc/hostname>\nint f(void) { return 1; }",
    ],
    ids=["absolute", "dots", "angle-brackets", "embed", "incbin-in-data", "include-next"],
)
def test_source_cannot_read_files_of_the_host(source: str) -> None:
    with pytest.raises(CompileError) as caught:
        tmebox.compile(source_text=source)
    assert "root:" not in str(caught.value)


def test_a_source_file_cannot_reach_files_beside_its_directory(tmp_path: Path) -> None:
    (tmp_path / "secret.h").write_text("#define SECRET 5\n")
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "link.h").symlink_to("../secret.h")
    for include in ("../secret.h", "link.h"):
        (folder / "f.c").write_text(f'#include "{include}"\nint f(void) {{ return SECRET; }}')
        with pytest.raises(CompileError):
            tmebox.compile(folder / "f.c")


VICTIM = """
int table[8] = {1, 2, 3, 4, 5, 6, 7, 8};
int pick(int i) { return table[i & 7]; }
int twice(int (*f)(int), int x) { return f(f(x)); }
int go(int x) { return twice(pick, x) + 1; }
"""


@functools.cache
def victim() -> ModuleFile:
    return tmebox.compile(source_text=VICTIM).file


PATCHES = {
    "syscall": b"\x0f\x05",
    "sysenter": b"\x0f\x34",
    "int80": b"\xcd\x80",
    "wrgsbase": b"\xf3\x48\x0f\xae\xd8",
    "plain-indirect-jump": b"\xff\xe0",
    "plain-indirect-call": b"\xff\xd0",
    "load-without-segment": b"\x48\x8b\x00",
    "load-through-64-bit-address": b"\x65\x48\x8b\x00",
    "load-through-fs": b"\x64\x67\x48\x8b\x00",
    "store-without-segment": b"\x48\x89\x07",
    "stack-pointer-from-register": b"\x48\x89\xc4",
    "jump-into-itself": b"\xeb\xff",
    "jump-far-away": b"\xe9\x00\x00\x00\x7f",
    "std": b"\xfd",
    "movabs": b"\x48\xa1\x00\x00\x00\x00\x00\x00\x00\x00",
    "garbage": b"\x06\x07\x0e",
}


@pytest.mark.parametrize("name", PATCHES)
def test_a_module_file_with_patched_code_is_not_loaded(name: str) -> None:
    """The file arrives with evil bytes at its end, before the code that was verified when it was built."""
    file = victim()
    evil = replace(file, text=file.text + PATCHES[name] + b"\xf4" * 16)
    with pytest.raises(VerificationError):
        Module.from_bytes(codec.encode(evil))


def test_a_plain_return_behind_it_is_a_function_that_does_nothing() -> None:
    """It needs no check: who calls it gets back."""
    file = victim()
    address = file.text_address + len(file.text)
    evil = replace(
        file,
        text=file.text + b"\xc3" + b"\xf4" * 16,
        functions=np.append(file.functions, np.uint32(address)),
        depth_places=np.append(file.depth_places, np.uint32(address)),
        depths=np.append(file.depths, np.uint32(0)),
        exports=(*file.exports, replace(file.exports[0], name="f", address=address, prototype=None)),
    )
    module = Module.from_bytes(codec.encode(evil))
    ending = attack(module, lambda sandbox: (sandbox.call_raw("f", 7), sandbox.go(3))[1])
    assert ending.exception is None, ending


@pytest.mark.parametrize("name", ["middle", "sequence", "outside"])
def test_a_claimed_function_that_is_none_is_not_loaded(name: str) -> None:
    file = victim()
    call = file.text.index(b"\xff\xd0") if b"\xff\xd0" in file.text else file.text.index(b"\x41\xff\xd3")
    place = {"middle": 1, "sequence": call, "outside": len(file.text) + 64}[name]
    evil = replace(file, functions=np.append(file.functions, np.uint32(file.text_address + place)))
    with pytest.raises(tmebox.TmeboxError):
        Module.from_bytes(codec.encode(evil))


def test_an_export_inside_a_function_is_not_callable() -> None:
    file = victim()
    export = replace(file.exports[0], address=file.exports[0].address + 1)
    with pytest.raises(tmebox.TmeboxError):
        Module.from_bytes(codec.encode(replace(file, exports=(export,))))


def test_a_segment_outside_the_private_half_is_not_mapped() -> None:
    file = victim()
    for offset in (0, abi.GUARD, abi.CONTROL_PAGE, abi.PRIVATE_END, abi.GATE_BASE, abi.SHARED_START):
        segment = replace(file.segments[0], offset=offset)
        with pytest.raises(tmebox.TmeboxError):
            Module.from_bytes(codec.encode(replace(file, segments=(segment,))))


def test_relocations_cannot_change_verified_code() -> None:
    """They are applied before verification; what they make of the code is what is verified."""
    file = victim()
    place = len(file.text) - 8
    relocations = replace(
        file.relocations, text_abs32=np.sort(np.append(file.relocations.text_abs32, np.uint32(place)))
    )
    evil = replace(file, text=file.text, relocations=relocations)
    try:
        module = Module.from_bytes(codec.encode(evil))
    except tmebox.TmeboxError:
        return
    ending = attack(module, lambda sandbox: sandbox.go(3))
    assert ending.exception is None or ending.trap
