"""The linker script: text at its nominal address, the data image at the window offsets that it will have."""

from __future__ import annotations

from collections.abc import Iterable

from tmebox import abi
from tmebox.errors import CompileError
from tmebox.toolchain.patterns import regex
from tmebox.toolchain.sections import TABLES_PREFIX

EXPORT_SECTION_PREFIX = ".text.tmebox_export."
CONSTRUCTORS = ("__tmebox_constructors_start", "__tmebox_constructors_end")
"""Symbols around what has to be called before anything else."""

OPTIONAL_SECTION = ".text.tmebox_optional"
"""What runs only where the processor has what it needs: see `ModuleFile.optional`."""
OPTIONAL = ("__tmebox_optional_start", "__tmebox_optional_end")

TABLES = "__tmebox_tables"
"""Symbol of the place in the text from where on there are no instructions, but tables of jump targets."""

_SCRIPT = """
ENTRY(_start)
EXTERN({roots})
PHDRS
{{
  data PT_LOAD;
  text PT_LOAD;
}}
SECTIONS
{{
  . = {image:#x};
  .rodata : ALIGN({page}) {{
    *(.rodata .rodata.* .gnu.linkonce.r.* .data.rel.ro .data.rel.ro.* .lrodata .lrodata.*)
    *(.gcc_except_table .gcc_except_table.*)
    . = ALIGN(8);
    PROVIDE_HIDDEN(__preinit_array_start = .);
    KEEP(*(.preinit_array))
    PROVIDE_HIDDEN(__preinit_array_end = .);
    PROVIDE_HIDDEN(__init_array_start = .);
    {first} = .;
    KEEP(*(SORT_BY_INIT_PRIORITY(.init_array.*) SORT_BY_INIT_PRIORITY(.ctors.*)))
    KEEP(*(.init_array .ctors))
    PROVIDE_HIDDEN(__init_array_end = .);
    {end} = .;
    PROVIDE_HIDDEN(__fini_array_start = .);
    KEEP(*(SORT_BY_INIT_PRIORITY(.fini_array.*) SORT_BY_INIT_PRIORITY(.dtors.*)))
    KEEP(*(.fini_array .dtors))
    PROVIDE_HIDDEN(__fini_array_end = .);
  }} :data
  {frames}
  {read_only}
  . = ALIGN({page});
  .data : {{
    *(.data .data.* .gnu.linkonce.d.* .ldata .ldata.*)
    __tmebox_thread_start = .;
    *(.thread_data .thread_data.*)
    __tmebox_thread_data_end = .;
  }} :data
  {writable}
  PROVIDE(_edata = .); PROVIDE(edata = .);
  PROVIDE(__bss_start = .);
  .bss : {{
    *(.thread_bss .thread_bss.*)
    __tmebox_thread_end = .;
    *(.bss .bss.* .gnu.linkonce.b.* COMMON .lbss .lbss.*)
  }} :data
  PROVIDE(__tmebox_thread_offset = {zero:#x});
  __tmebox_thread_size = ABSOLUTE(__tmebox_thread_end - __tmebox_thread_start);
  PROVIDE(_end = .); PROVIDE(end = .);
  __tmebox_image_end = .;
  . = {text:#x};
  .text : {{
    KEEP(*(.init)) KEEP(*(.fini))
    KEEP(*({exported}*))
    {optional_start} = .;
    *({optional} {optional}.*)
    {optional_end} = .;
    *(.text .text.* .gnu.linkonce.t.* .ltext .ltext.*)
    {code}
    BYTE(0xf4)
    . = ALIGN({entry});
    {tables} = .;
    *({table_sections}*)
  }} :text =0xf4f4f4f4
  PROVIDE(_etext = .); PROVIDE(etext = .);
  /DISCARD/ : {{ *({unwanted} .note.* .comment) }}
}}
{gates}
"""
# Two program headers: with one, the linker would fill the gigabyte between data and text with a hole.
# Without libc there is one thread, at distance 0.
# Gaps between input sections, and the end, are hlt: nothing falls through, and every byte decodes.

_FRAMES = """.eh_frame_hdr : ALIGN(8) {
    __eh_frame_hdr_start = .;
    *(.eh_frame_hdr)
    __eh_frame_hdr_end = .;
  } :data
  .eh_frame : ALIGN(8) {
    __eh_frame_start = .;
    KEEP(*(.eh_frame))
    __eh_frame_end = .;
  } :data"""
"""Names by which libunwind finds the tables."""

READ_ONLY = ".rodata"
NAMED = {READ_ONLY, ".data", ".bss", ".text", ".eh_frame", ".eh_frame_hdr"}
"""Output sections that the script has by itself."""
_SECTION_NAME = regex(r"[\w.$-]{1,200}")


def linker_script(
    roots: Iterable[str],
    read_only: Iterable[str] = (),
    writable: Iterable[str] = (),
    code: Iterable[str] = (),
    *,
    unwinds: bool = False,
) -> str:
    """`roots` are symbols to keep with all that they reach, whoever else uses them. `read_only`, `writable`:
    further data sections, which keep their names (C programs find their start and end by those). `code`:
    further sections of code, which become part of the text, between the same symbols. `unwinds`: whether the
    program looks at frame tables, which are left out else.

    Raises CompileError for a section name that a script cannot have.
    """
    return _SCRIPT.format(
        image=abi.IMAGE_START,
        text=abi.TEXT_NOMINAL,
        page=abi.PAGE_SIZE,
        zero=abi.CONTROL_ZERO,
        roots=" ".join(quote(name) for name in roots),
        gates="\n".join(f"{name} = {address:#x};" for name, address in abi.GATES.items()),
        exported=EXPORT_SECTION_PREFIX,
        optional=OPTIONAL_SECTION,
        optional_start=OPTIONAL[0],
        optional_end=OPTIONAL[1],
        entry=abi.TABLE_ENTRY,
        tables=TABLES,
        table_sections=TABLES_PREFIX,
        first=CONSTRUCTORS[0],
        end=CONSTRUCTORS[1],
        code="\n    ".join(_own_code(name) for name in code),
        frames=_FRAMES if unwinds else "",
        unwanted="" if unwinds else ".eh_frame .eh_frame_hdr",
        read_only="\n  ".join(_own_section(name) for name in read_only),
        writable="\n  ".join(_own_section(name) for name in writable),
    )


def _own_section(name: str) -> str:
    if not _SECTION_NAME.fullmatch(name):
        raise CompileError(f"impossible section name {name[:80]!r}")
    return f"{quote(name)} : {{ *({quote(name)}) }} :data"


def _own_code(name: str) -> str:
    if not _SECTION_NAME.fullmatch(name):
        raise CompileError(f"impossible section name {name[:80]!r}")
    first, end = (f"PROVIDE_HIDDEN({quote(f'__{word}_{name}')} = .);" for word in ("start", "stop"))
    return f"{first if name.isidentifier() else ''} *({quote(name)}) {end if name.isidentifier() else ''}"


def quote(name: str) -> str:
    """A symbol name for a linker script or assembly, where bare ones may hold few characters."""
    return f'"{name}"'
