"""Drivers with one mistake each. A test that none of them fails would prove nothing."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tmebox.driver import build
from tmebox.driver.kernels import Kernel


@dataclass(frozen=True)
class Mutant:
    """`groups` are the tests of which one at least must fail. `file` has `text` exactly once.

    `name` is also the module's.
    """

    name: str
    file: str
    text: str
    instead: str
    groups: str


MUTANTS = (
    Mutant(
        "key_in_the_frame",
        "view.c",
        "page_to_pfn(page), __pgprot(bits))",
        "page_to_pfn(page) | tmebox_entry_bits(&tmebox_platform.layout, id) >> PAGE_SHIFT, "
        "vm_get_page_prot(flags))",
        "alias",
    ),
    Mutant(
        "wrong_shift",
        "view.c",
        "pgprot_val(vm_get_page_prot(flags)) | tmebox_entry_bits(&tmebox_platform.layout, id);",
        "pgprot_val(vm_get_page_prot(flags)) | tmebox_entry_bits(&tmebox_platform.layout, id) << 1;",
        "alias",
    ),
    Mutant(
        "revoking_unmaps_nothing",
        "rights.c",
        "\ttmebox_view_unmap(file, key->id, range->first, range->count);\n",
        "",
        "grants",
    ),
    Mutant("writes_are_not_asked_about", "view.c", "\t.pfn_mkwrite = view_pfn_mkwrite,\n", "", "grants"),
    Mutant(
        "the_first_write_makes_writable",
        "view.c",
        "\tvm_fault_t result = VM_FAULT_SIGBUS;\n\tstruct tmebox_place place;\n\tunsigned int id;",
        "\tvm_fault_t result = 0;\n\tstruct tmebox_place place;\n\tunsigned int id;",
        "grants",
    ),
    Mutant(
        "checked_without_the_lock",
        "view.c",
        "\tif (!permitted(file, place, &id, &writable))\n\t\treturn VM_FAULT_SIGBUS;\n",
        "\tif (!permitted(file, place, &id, &writable))\n\t\treturn VM_FAULT_SIGBUS;\n"
        # A moment, as if an interrupt came here: otherwise it takes minutes to be seen.
        "\tmutex_unlock(&file->lock);\n\tfor (int i = 0; i < 3000; i++)\n\t\tcpu_relax();\n"
        "\tmutex_lock(&file->lock);\n",
        "races",
    ),
    Mutant(
        "freed_keys_keep_their_views",
        "heap.c",
        "\ttmebox_view_unmap(file, key->id, 0, file->page_count);\n\ttmebox_view_unmap_alias",
        "\ttmebox_view_unmap_alias",
        "grants",
    ),
    Mutant(
        "freed_keys_keep_aliases",
        "heap.c",
        "\ttmebox_view_unmap_alias(file, key->id, 0, file->page_count);\n",
        "",
        "alias",
    ),
    Mutant(
        "freed_keys_leave_their_bytes",
        "heap.c",
        "\t\tif (file->pages[number])\n\t\t\ttmebox_lines_rewrite(file->pages[number]);\n",
        "",
        "grants",
    ),
    Mutant(
        "moving_leaves_the_hosts_entries",
        "rights.c",
        "\t\t/* Who looks through the host's view now waits for the lock. */\n"
        "\t\ttmebox_view_unmap(file, 0, first, next - first);\n",
        "",
        "alias",
    ),
    Mutant(
        "discarded_pages_stay_in_views",
        "rights.c",
        "\ttmebox_view_unmap(file, key->id, first, count);\n\ttmebox_view_unmap_alias",
        "\ttmebox_view_unmap_alias",
        "grants",
    ),
    Mutant(
        "shared_entries_stay",
        "rights.c",
        "\t\t\ttmebox_view_unmap(file, id, from, after - from);\n",
        "",
        "alias",
    ),
    Mutant(
        "shared_rights_outlive_owners",
        "heap.c",
        "\t\t\ttmebox_heap_end_shared(file, number, end - number);\n",
        "\t\t\tcontinue;\n",
        "alias",
    ),
    Mutant(
        "any_process_may_call",
        "device.c",
        "\tif (current->mm != file->mm)\n\t\treturn -EPERM;\n",
        "",
        "processes",
    ),
    Mutant(
        "any_process_may_map",
        "view.c",
        "\tif (current->mm != file->mm || vma->vm_mm != file->mm)\n\t\treturn -EPERM;\n",
        "",
        "processes",
    ),
    Mutant("views_are_copied", "view.c", "VM_PFNMAP | VM_IO | VM_DONTCOPY", "VM_PFNMAP | VM_IO", "mappings"),
    Mutant("advice_copies_views", "view.c", "VM_PFNMAP | VM_IO |", "VM_PFNMAP |", "mappings"),
    Mutant("views_are_split", "view.c", "\t.may_split = view_may_split,\n", "", "mappings"),
    Mutant("views_move", "view.c", "\t.mremap = view_mremap,\n", "", "mappings"),
    Mutant("views_become_executable", "view.c", "\tvm_flags_clear(vma, VM_MAYEXEC);\n", "", "mappings"),
    Mutant("offsets_reach_beyond", "view.c", "vma_pages(vma));\n", "1);\n", "edges"),
    Mutant("keys_are_given_on_the_way_to_sleep", "keys.c", "going_to_sleep ? -EBUSY : ", "", "lives"),
    Mutant("keys_never_come_back", "keys.c", "\t\t__clear_bit(id, taken);\n", "", "lives"),
    Mutant(
        "pages_are_forgotten",
        "heap.c",
        "\t\ttmebox_lines_rewrite(page);\n\t\t__free_page(page);\n",
        "\t\ttmebox_lines_rewrite(page);\n",
        "cycles",
    ),
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

    They are built in `tree`, where the driver was built before, all at once: a mutant is one changed file and
    the driver's other objects.
    """
    rules = (tree / "Kbuild").read_text()
    parts = re.findall(r"(\w+)\.o", rules.partition("tmebox-y := ")[2])
    for mutant in MUTANTS:
        changed = Path(mutant.file).stem
        (tree / f"{mutant.name}_{mutant.file}").write_text(mutated((tree / mutant.file).read_text(), mutant))
        objects = [f"{mutant.name}_{part}.o" if part == changed else f"{part}.o" for part in parts]
        rules += f"obj-m += {mutant.name}.o\n{mutant.name}-y := {' '.join(objects)}\n"
    (tree / "Kbuild").write_text(rules)
    build.module(kernel, tree)
    for mutant in MUTANTS:
        yield f"mutants/{mutant.name}.ko", (tree / f"{mutant.name}.ko").read_bytes()
        yield f"mutants/{mutant.name}.tests", mutant.groups.encode() + b"\n"
