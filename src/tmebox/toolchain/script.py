"""The linker script: text at its nominal address, the data image at the window offsets that it will have."""

from __future__ import annotations

from collections.abc import Iterable

from tmebox import abi

EXPORT_SECTION_PREFIX = ".text.tmebox_export."
CONSTRUCTORS = ("__tmebox_constructors_start", "__tmebox_constructors_end")
"""Symbols around what has to be called before anything else."""

_SCRIPT = """
ENTRY(_start)
EXTERN({roots})
SECTIONS
{{
  . = {image:#x};
  .rodata : ALIGN({page}) {{
    *(.rodata .rodata.* .gnu.linkonce.r.* .data.rel.ro .data.rel.ro.* .lrodata .lrodata.*)
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
  }}
  . = ALIGN({page});
  __tmebox_writable_start = .;
  .data : {{ *(.data .data.* .gnu.linkonce.d.* .ldata .ldata.* .tdata .tdata.*) }}
  PROVIDE(_edata = .); PROVIDE(edata = .);
  PROVIDE(__bss_start = .);
  .bss : {{ *(.bss .bss.* .gnu.linkonce.b.* COMMON .lbss .lbss.* .tbss .tbss.*) }}
  PROVIDE(_end = .); PROVIDE(end = .);
  __tmebox_image_end = .;
  . = {text:#x};
  .text : {{
    KEEP(*(.init)) KEEP(*(.fini))
    KEEP(*({exported}*))
    *(.text .text.* .gnu.linkonce.t.* .ltext .ltext.*)
    BYTE(0xf4)
  }} =0xf4f4f4f4
  PROVIDE(_etext = .); PROVIDE(etext = .);
}}
{gates}
"""
# Gaps between input sections, and the end, are hlt: nothing falls through, and every byte decodes.


def linker_script(roots: Iterable[str]) -> str:
    """`roots` are symbols to keep with all that they reach, whoever else uses them."""
    return _SCRIPT.format(
        image=abi.IMAGE_START,
        text=abi.TEXT_NOMINAL,
        exported=EXPORT_SECTION_PREFIX,
        first=CONSTRUCTORS[0],
        end=CONSTRUCTORS[1],
        page=abi.PAGE_SIZE,
        roots=" ".join(quote(name) for name in roots),
        gates="\n".join(f"{name} = {address:#x};" for name, address in abi.GATES.items()),
    )


def quote(name: str) -> str:
    """A symbol name for a linker script, where bare ones may hold few characters."""
    return f'"{name}"'
