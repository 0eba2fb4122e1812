"""Drivers with one mistake each. A test that none of them fails would prove nothing."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tmebox.driver import build
from tmebox.driver.kernels import Kernel


@dataclass(frozen=True)
class Mutant:
    """`groups` are the tests of which one at least must fail. `file` has `text` exactly once."""

    name: str
    file: str
    text: str
    instead: str
    groups: str


MUTANTS = (
    Mutant(
        "key-in-the-frame",
        "view.c",
        "page_to_pfn(page), __pgprot(bits))",
        "page_to_pfn(page) | tmebox_entry_bits(&tmebox_platform.layout, id) >> PAGE_SHIFT, "
        "vm_get_page_prot(flags))",
        "alias",
    ),
    Mutant("wrong-shift", "tmebox_bits.h", "(__u64)key << layout->key_shift;", "(__u64)key << 37;", "alias"),
    Mutant(
        "revoking-unmaps-nothing",
        "heap.c",
        "	tmebox_view_unmap(file, key->id, range->first, range->count);\n",
        "",
        "grants",
    ),
    Mutant("writes-are-not-asked-about", "view.c", "	.pfn_mkwrite = view_pfn_mkwrite,\n", "", "grants"),
    Mutant(
        "the-first-write-makes-writable",
        "view.c",
        "	vm_fault_t result = VM_FAULT_SIGBUS;\n	struct tmebox_place place;\n	unsigned int id;",
        "	vm_fault_t result = 0;\n	struct tmebox_place place;\n	unsigned int id;",
        "grants",
    ),
    Mutant(
        "checked-without-the-lock",
        "view.c",
        "	if (!permitted(file, place, &id, &writable))\n		return VM_FAULT_SIGBUS;\n",
        "	if (!permitted(file, place, &id, &writable))\n		return VM_FAULT_SIGBUS;\n"
        "	mutex_unlock(&file->lock);\n	mutex_lock(&file->lock);\n",
        "races",
    ),
    Mutant(
        "freed-keys-keep-their-views",
        "heap.c",
        "	tmebox_view_unmap(file, key->id, 0, file->page_count);\n	tmebox_view_unmap_alias",
        "	tmebox_view_unmap_alias",
        "grants",
    ),
    Mutant("freed-keys-keep-aliases", "heap.c", "	tmebox_view_unmap_alias(file, key->id);\n", "", "alias"),
    Mutant(
        "freed-keys-leave-their-bytes",
        "heap.c",
        "		if (file->pages[number])\n			tmebox_lines_rewrite(file->pages[number]);\n",
        "",
        "grants",
    ),
    Mutant(
        "any-process-may-call",
        "device.c",
        "	if (current->mm != file->mm)\n		return -EPERM;\n",
        "",
        "processes",
    ),
    Mutant(
        "any-process-may-map",
        "view.c",
        "	if (current->mm != file->mm || vma->vm_mm != file->mm)\n		return -EPERM;\n",
        "",
        "processes",
    ),
    Mutant("views-are-copied", "view.c", "VM_PFNMAP | VM_IO | VM_DONTCOPY", "VM_PFNMAP | VM_IO", "mappings"),
    Mutant("advice-copies-views", "view.c", "VM_PFNMAP | VM_IO |", "VM_PFNMAP |", "mappings"),
    Mutant("views-are-split", "view.c", "	.may_split = view_may_split,\n", "", "mappings"),
    Mutant("views-move", "view.c", "	.mremap = view_mremap,\n", "", "mappings"),
    Mutant(
        "views-become-executable", "view.c", "	vm_flags_clear(vma, VM_MAYEXEC);\n", "", "mappings"
    ),
    Mutant("offsets-reach-beyond", "view.c", "vma_pages(vma));\n", "1);\n", "edges"),
    Mutant("keys-never-come-back", "keys.c", "		__clear_bit(id, taken);\n", "", "lives"),
    Mutant("pages-are-forgotten", "heap.c", "		__free_page(page);\n		cond_resched", "		cond_resched", "cycles"),
)


class MutantError(Exception):
    """The driver's text changed, and a mutant does not fit it any more."""


def mutated(original: str, mutant: Mutant) -> str:
    """A file's text with the mistake."""
    if original.count(mutant.text) != 1:
        raise MutantError(f"{mutant.name}: {mutant.file} has its text {original.count(mutant.text)} times")
    return original.replace(mutant.text, mutant.instead)


def files(kernel: Kernel, tree: Path) -> Iterator[tuple[str, bytes]]:
    """For the first file system: each mutant as a module, and the tests it must fail.

    They are built one after the other in `tree`, where the driver was built before: so only what is changed is
    compiled again.
    """
    for mutant in MUTANTS:
        file = tree / mutant.file
        original = file.read_text()
        file.write_text(mutated(original, mutant))
        try:
            yield f"mutants/{mutant.name}.ko", build.module(kernel, tree).read_bytes()
        finally:
            file.write_text(original)
        yield f"mutants/{mutant.name}.tests", mutant.groups.encode() + b"\n"
