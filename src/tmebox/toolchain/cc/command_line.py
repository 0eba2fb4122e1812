"""The command line of `tmebox cc` as values: what to compile, how, and what to make of it."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from tmebox.abi import BASES, ISOLATIONS
from tmebox.errors import TmeboxError
from tmebox.records import dataclass, field
from tmebox.toolchain.cc.linker_options import LinkerOptions
from tmebox.toolchain.cc.tree import source_tree
from tmebox.toolchain.compile import cplusplus, flags
from tmebox.toolchain.compile.compile import LANGUAGES
from tmebox.toolchain.options import DEFAULT_OPTIONS, CompileOptions

STDIN = Path("-")


class UsageError(TmeboxError):
    """A command line that makes no sense, or asks for what a sandbox cannot have."""


@dataclass
class Dependencies:
    """-M…: whether to write a rule for make, where, and about what."""

    wanted: bool = False
    system: bool = True
    phony: bool = False
    file: Path | None = None
    targets: list[str] = field(default_factory=list)


@dataclass
class Command:
    """mode: "link", or one of -c -S -E -M. inputs: sources, objects and archives, in order.

    whole_inputs, whole_libraries: of which every object is linked, wanted or not. map_file: where to describe
    what was linked. use_start_files: whether a program's `main` makes it a command. roots: symbols to link
    whoever refers to them. notes: for the user.
    """

    mode: str = "link"
    output: Path | None = None
    inputs: list[Path] = field(default_factory=list)
    languages: dict[Path, str] = field(default_factory=dict)
    libraries: list[str] = field(default_factory=list)
    whole_inputs: set[Path] = field(default_factory=set)
    whole_libraries: set[str] = field(default_factory=set)
    library_dirs: list[Path] = field(default_factory=list)
    preprocessor_flags: list[str] = field(default_factory=list)
    dependencies: Dependencies = field(default_factory=Dependencies)
    options: CompileOptions = DEFAULT_OPTIONS
    map_file: Path | None = None
    use_start_files: bool = True
    roots: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def sources(self) -> list[Path]:
        return [path for path in self.inputs if path in self.languages or path.suffix in LANGUAGES]


@dataclass
class _State:
    """What the options collect before they become CompileOptions."""

    command: Command = field(default_factory=Command)
    flags: list[str] = field(default_factory=list)
    include_dirs: list[Path] = field(default_factory=list)
    search: list[tuple[str, Path]] = field(default_factory=list)
    exports: list[str] = field(default_factory=list)
    imports: list[str] = field(default_factory=list)
    language: str | None = None
    is_cxx: bool = False
    isolation: str = "code+data"
    base: str = "gs"
    debug: bool = False
    has_fatal_warnings: bool = False
    use_libc: bool = True

    def __post_init__(self) -> None:
        self.linker = LinkerOptions(
            lambda name: _input(self, name),
            lambda name: _library(self, name),
            lambda name: self.command.library_dirs.append(Path(name)),
        )


_X_LANGUAGES = {
    "c": "c",
    "cpp-output": "c",
    "c++": cplusplus.LANGUAGE,
    "c++-cpp-output": cplusplus.LANGUAGE,
    "assembler": "assembler",
    "assembler-with-cpp": "assembler-with-cpp",
    "none": None,
}


def _language(state: _State, value: str) -> None:
    if value not in _X_LANGUAGES:
        raise UsageError(
            f"language {value!r} is not supported (c, c++, assembler and assembler-with-cpp are)"
        )
    state.language = _X_LANGUAGES[value]


def _isolation(state: _State, value: str) -> None:
    if value not in ISOLATIONS:
        raise UsageError(f"--isolation is code+data or data, not {value!r}")
    state.isolation = value


def _base(state: _State, value: str) -> None:
    if value not in BASES:
        raise UsageError(f"--base is {' or '.join(BASES)}, not {value!r}")
    state.base = value


def _target(state: _State, value: str) -> None:
    _option(state, f"--target={value}", iter(()))


def _linker(state: _State, value: str) -> None:
    state.linker.add(value)


def _linker_word(state: _State, value: str) -> None:
    if "," in value:
        raise UsageError(f"linker option {value!r} is not supported in a sandboxed build")
    state.linker.add(value)


def _library(state: _State, value: str) -> None:
    state.command.libraries.append(value)
    if state.linker.is_whole:
        state.command.whole_libraries.add(value)


_ASSEMBLER_IGNORED = (
    r"-W|-g|-I.*|--(no-?execstack|no-warn|warn|64|divide|gdwarf\S*|gstabs|noexecstack)"
    r"|-m(relax-relocations=\w+|branches-within-32B-boundaries|no-relax|x86-used-note=\w+)|-march=[\w+.,-]+"
    r"|--(generate-missing-build-notes=\w+|compress-debug-sections(=\w+)?|nocompress-debug-sections|reduce-memory-overheads)"
)


def _assembler(state: _State, value: str) -> None:
    """-Wa: what changes nothing in what is assembled is ignored, the rest refused."""
    for word in value.split(","):
        if word == "--fatal-warnings":
            state.has_fatal_warnings = True
        elif not re.fullmatch(_ASSEMBLER_IGNORED, word):
            raise UsageError(f"assembler option {word!r} is not supported in a sandboxed build")


_FOR_THE_PREPROCESSOR = r"-(D|U|I|M|P$|C|w$|W|isystem|iquote|idirafter|include|imacros|f|undef$|std=).*"


def _preprocessor(state: _State, value: str) -> None:
    """-Wp: the preprocessor's options, whose -MD and -MMD name the file that rules go to."""
    words = iter(value.split(","))
    for word in words:
        if word in ("-MD", "-MMD"):
            _SWITCHES[word](state)
            name = next(words, "")
            if not name:
                raise UsageError(f"-Wp,{word} needs a file: -Wp,{word},FILE")
            state.command.dependencies.file = Path(name)
        elif re.fullmatch(_FOR_THE_PREPROCESSOR, word):
            _option(state, word, words)
        else:
            raise UsageError(f"preprocessor option {word!r} is not supported in a sandboxed build")


_VALUES: dict[str, Callable[[_State, str], None]] = {
    "-o": lambda state, value: setattr(state.command, "output", Path(value)),
    "-I": lambda state, value: state.include_dirs.append(Path(value)),
    "-D": lambda state, value: state.flags.append(f"-D{value}"),
    "-U": lambda state, value: state.flags.append(f"-U{value}"),
    "-L": lambda state, value: state.command.library_dirs.append(Path(value)),
    "-l": _library,
    "-u": lambda state, value: state.linker.add(f"-u,{value}"),
    "-x": _language,
    "-B": lambda state, value: None,
    "-target": _target,
    "-isystem": lambda state, value: state.search.append(("-isystem", Path(value))),
    "-iquote": lambda state, value: state.search.append(("-iquote", Path(value))),
    "-idirafter": lambda state, value: state.search.append(("-idirafter", Path(value))),
    "-include": lambda state, value: state.search.append(("-include", Path(value))),
    "-imacros": lambda state, value: state.search.append(("-imacros", Path(value))),
    "-MF": lambda state, value: setattr(state.command.dependencies, "file", Path(value)),
    "-MT": lambda state, value: state.command.dependencies.targets.append(value),
    "-MQ": lambda state, value: state.command.dependencies.targets.append(value.replace("$", "$$")),
    "-Wl,": _linker,
    "-Xlinker": _linker_word,
    "-Wp,": _preprocessor,
    "-Xpreprocessor": _preprocessor,
    "-Wa,": _assembler,
    "-Xassembler": _assembler,
    "-z": lambda state, value: state.linker.add(f"-z,{value}"),
    "--param": lambda state, value: None,
    "--export": lambda state, value: state.exports.append(value),
    "--import": lambda state, value: state.imports.append(value),
    "--isolation": _isolation,
    "--base": _base,
}
"""Options with a value: attached (-Idir, --base=gs) or as the next argument."""
_SEPARATE_ONLY = {
    *("-include", "-imacros", "-Xlinker", "-Xpreprocessor", "-Xassembler", "-z", "--param"),
    *("--export", "--import", "-target"),
    *("--isolation", "--base"),
}
_ATTACHED_ONLY = {"-Wl,", "-Wp,", "-Wa,"}


def _mode(name: str) -> Callable[[_State], None]:
    def set_mode(state: _State) -> None:
        state.command.mode = name

    return set_mode


def _dependencies(*, only: bool, system: bool) -> Callable[[_State], None]:
    def want(state: _State) -> None:
        state.command.dependencies.wanted = True
        state.command.dependencies.system = system
        if only:
            state.command.mode = "-M"

    return want


def _nothing(state: _State) -> None:
    pass


def _phony(state: _State) -> None:
    state.command.dependencies.phony = True


def _no_libc(state: _State) -> None:
    state.use_libc = False


def _no_start_files(state: _State) -> None:
    state.command.use_start_files = False


_SWITCHES: dict[str, Callable[[_State], None]] = {
    "-c": _mode("-c"),
    "-S": _mode("-S"),
    "-E": _mode("-E"),
    "-M": _dependencies(only=True, system=True),
    "-MM": _dependencies(only=True, system=False),
    "-MD": _dependencies(only=False, system=True),
    "-MMD": _dependencies(only=False, system=False),
    "-MP": _phony,
    "-MG": _nothing,
    "-s": _nothing,
    "-static": _nothing,
    "-shared": _no_start_files,
    "-rdynamic": _nothing,
    "-v": _nothing,
    "-nostdinc": _nothing,
    "-nostdinc++": _nothing,
    "-nostdlib++": _nothing,
    "-nostdlib": _no_libc,
    "-nostartfiles": _no_start_files,
    "-nodefaultlibs": _no_libc,
}
_PREPROCESSOR = {"-P", "-C", "-CC", "-dM", "-dD", "-H", "-traditional-cpp"}


def parse(argv: Sequence[str], readable: str = "", *, is_cxx: bool = False) -> Command:
    """Arguments to a command. `readable`: more directories that sources may read, separated by colons.
    is_cxx: C is compiled as C++, as C++ compilers do.

    Raises UsageError for what is not understood: a build must not believe that it got what it asked for.
    """
    state = _State(is_cxx=is_cxx)
    arguments = iter(argv)
    for argument in arguments:
        if argument == "-" or not argument.startswith("-"):
            _input(state, argument)
        else:
            _option(state, argument, arguments)
    state.linker.end()
    command = state.command
    command.map_file = state.linker.map_file
    command.roots = state.linker.roots
    if not command.inputs and not command.whole_libraries:
        raise UsageError("no input files")
    if state.linker.is_shared:
        command.use_start_files = False
    _require_known_inputs(command)
    if command.output is not None and command.mode in ("-c", "-S") and len(command.sources) > 1:
        raise UsageError(f"-o names one file, and {command.mode} makes one for each source")
    if command.mode != "link" and not command.sources:
        raise UsageError("no sources among the input files")
    colour = ["-fcolor-diagnostics"] * (sys.stderr.isatty() and "NO_COLOR" not in os.environ)
    here = [source_tree(path) for path in _directories(command)]
    here += [Path(item) for item in readable.split(":") if item]
    command.options = CompileOptions(
        optimize="-O0",
        include_dirs=tuple(state.include_dirs),
        search=tuple(state.search),
        readable_dirs=tuple(here),
        flags=(*colour, *state.flags),
        debug=state.debug,
        has_fatal_warnings=state.has_fatal_warnings,
        isolation=state.isolation,
        base=state.base,
        exports=tuple(state.exports) or None,
        imports=tuple(state.imports),
        undefined="none" if state.linker.refuses_undefined else "linker",
        name=str(command.output or "a.out"),
        use_libc=state.use_libc,
    )
    return command


def _directories(command: Command) -> list[Path]:
    """The current one, and those of the sources."""
    return list(dict.fromkeys([Path(), *(source.parent for source in command.sources)]))


def _input(state: _State, argument: str) -> None:
    if argument.startswith("@"):  # the others have been replaced by what they hold
        raise UsageError(f"no such file: {argument[1:]!r}, a response file")
    path = Path(argument)
    state.command.inputs.append(path)
    if state.linker.is_whole:
        state.command.whole_inputs.add(path)
    if state.language is not None:
        state.command.languages[path] = state.language
    elif state.is_cxx and LANGUAGES.get(path.suffix) == "c":
        state.command.languages[path] = cplusplus.LANGUAGE


def _require_known_inputs(command: Command) -> None:
    if STDIN in command.inputs and STDIN not in command.languages:
        if command.mode not in ("-E", "-M"):
            raise UsageError("reading standard input needs -x or -E")
        command.languages[STDIN] = "c"
    for path in command.inputs:
        if path not in command.sources and path.suffix not in (".o", ".a", ".lo", ".obj"):
            raise UsageError(
                f"{path}: neither C (.c), C++ (.cpp, .cc, .cxx), assembly (.s, .S), an object (.o) nor an "
                "archive (.a)"
            )


def _option(state: _State, argument: str, rest: Iterator[str]) -> None:
    if argument in _SWITCHES:
        _SWITCHES[argument](state)
        return
    if argument in _PREPROCESSOR:
        state.command.preprocessor_flags.append(argument)
        return
    if argument in ("-r", "-dynamiclib"):
        raise UsageError(f"{argument}: a module is linked whole; link the objects or an archive of them")
    for name, act in _VALUES.items():
        if argument == name and name not in _ATTACHED_ONLY:
            value = next(rest, None)
            if value is None:
                raise UsageError(f"{name} needs a value")
            act(state, value)
            return
        if name.startswith("--") and argument.startswith(f"{name}="):
            act(state, argument[len(name) + 1 :])
            return
        if argument.startswith(name) and name not in _SEPARATE_ONLY and not _is_flag(argument):
            act(state, argument[len(name) :])
            return
    if argument.startswith("-g"):
        state.debug = argument != "-g0"
    if flags.passes(argument):
        state.flags.append(argument)
        if (note := flags.note(argument)) is not None:
            state.command.notes.append(note)
    elif not flags.ignored(argument):
        raise UsageError(f"option {flags.refusal(argument)}")


def _is_flag(argument: str) -> bool:
    """Whether an argument that begins like an option with an attached value is another option."""
    return flags.passes(argument) or flags.ignored(argument) or argument in _VALUES
