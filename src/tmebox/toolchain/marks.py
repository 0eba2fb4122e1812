"""How objects say that they were instrumented, and for what: a note that every object of ours has.

It is there for people, who would otherwise learn from the verifier, line by line, that an object came from
another compiler. Whoever forges it gains nothing: the verifier reads no notes.
"""

from __future__ import annotations

from tmebox.errors import CompileError

SECTION = ".note.tmebox"
_OWNER = b"tmebox\0\0"
_TYPE = 1


def mark(isolation: str, base: str) -> str:
    """The note as assembly: in ELF's format, described by words."""
    words = _words(isolation, base)
    return (
        f'\t.section\t{SECTION},"",@note\n\t.long\t7, {len(words)}, {_TYPE}\n'
        f'\t.asciz\t"tmebox"\n\t.zero\t1\n\t.ascii\t"{words.decode()}"\n'
    )


def require_mark(contents: bytes, name: str, isolation: str, base: str) -> None:
    """Raise CompileError unless `contents`, of the object's note, says what a link needs. `name`: for it."""
    words = contents[12 + len(_OWNER) :]
    is_ours = contents[12 : 12 + len(_OWNER)] == _OWNER and len(words.split()) == 2
    if not is_ours:
        raise CompileError(
            f"{name}: not compiled for a sandbox, so nothing in it is confined: compile its source with "
            "`tmebox cc -c` (in a build: CC='tmebox cc'), assembly as well as C"
        )
    if words != _words(isolation, base):
        its_base, its_isolation = words.decode(errors="replace").split()
        raise CompileError(
            f"{name}: compiled with --base {its_base} --isolation {its_isolation}, and this links for "
            f"--base {base} --isolation {isolation}: compile and link with the same"
        )


def _words(isolation: str, base: str) -> bytes:
    return f"{base} {isolation}".encode()
