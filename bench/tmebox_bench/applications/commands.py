"""`tmebox bench openssl`, `packages` and `nbench`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tmebox.cli.output import EXIT_FAILED, complain, printable, progress, stdout
from tmebox_bench.option_types import Json, Quick, Rounds
from tmebox_bench.shown import fail_for, rounds_of, show

if TYPE_CHECKING:
    from tmebox_bench.applications.rows import Results as Applications


def openssl(
    operations: Annotated[
        list[str] | None,
        typer.Argument(metavar="OPERATION", help="SHA1, AES-256-GCM, …: only these. [default: all]"),
    ] = None,
    assembly: Annotated[
        bool, typer.Option("--assembly", help="With OpenSSL's assembly, on both sides.")
    ] = False,
    quick: Quick = False,
    rounds: Rounds = None,
    json_file: Json = None,
) -> None:
    """Build OpenSSL's libcrypto, natively and sandboxed; compare outputs and times.

    Sources come from Debian. Ciphers, digests and signatures are timed, and OpenSSL's own test vectors run,
    unless operations are named. Without --assembly neither side has assembly; with it, both choose the same
    functions.
    """
    from tmebox_bench.applications.openssl import OPERATIONS, bench_openssl

    if not set(operations or ()) <= set(OPERATIONS):
        raise typer.BadParameter(f"operations are {', '.join(OPERATIONS)}")
    _applications(
        lambda report: bench_openssl(
            operations or (),
            assembly=assembly,
            rounds=rounds_of(rounds, quick),
            scale=1 if quick else 5,
            progress=report,
        ),
        json_file,
    )


def packages(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="PACKAGE", help="zlib, lua, …; all, if none is named.")
    ] = None,
    rounds: Rounds = None,
    jobs: Annotated[bool, typer.Option("--jobs", help="Build with two jobs at once, too.")] = False,
    json_file: Json = None,
) -> None:
    """Time `make` of whole packages with `tmebox cc`, with the same clang natively, and with gcc.

    Sources come from Debian. What is timed is processor time, without configuring.
    """
    from dataclasses import asdict
    from json import dumps

    from tmebox_bench.applications.packages import PACKAGES, bench_packages, packages_table
    from tmebox_bench.results import write_all

    if not set(names or ()) <= PACKAGES.keys():
        raise typer.BadParameter(f"packages are {', '.join(PACKAGES)}")
    with progress() as report:
        results = bench_packages(
            names or list(PACKAGES),
            rounds=rounds or 1,
            jobs=jobs,
            progress=report or (lambda step, done, total: None),
        )
    show(packages_table(results))
    for note in results.missing:
        stdout().print(f"missing: {printable(note)}", soft_wrap=True)
    write_all({} if json_file is None else {json_file: dumps({"schema": 1, **asdict(results)}, indent=1)})


def nbench(
    tree: Annotated[
        Path,
        typer.Argument(metavar="DIR", help="BYTEmark's sources, unpacked.", exists=True, file_okay=False),
    ],
    quick: Quick = False,
    rounds: Rounds = None,
    json_file: Json = None,
) -> None:
    """Build BYTEmark (nbench) from a tree of its sources; compare its ten indexes, natively and sandboxed.

    The tree is copied, and built by its own makefile. No registry has its sources: unpack them yourself.
    """
    from tmebox_bench.applications.nbench import RUN_MS, bench_nbench

    _applications(
        lambda report: bench_nbench(
            tree,
            rounds=rounds_of(rounds, quick),
            run_ms=10 if quick else RUN_MS,
            progress=report,
        ),
        json_file,
    )


def _applications(measure: Callable[[Any], Applications], json_file: Path | None) -> None:
    from tmebox_bench import debian
    from tmebox_bench.applications.rows import table, to_json
    from tmebox_bench.results import write_all
    from tmebox_bench.servers.builds import BuildError

    try:
        with progress(alone=True) as report:
            results = measure(report or (lambda step, done, total: None))
    except (debian.SourcesUnavailableError, BuildError, OSError) as error:
        complain(str(error))
        raise typer.Exit(EXIT_FAILED) from None
    show(table(results))
    for note in results.notes:
        stdout().print(printable(note), soft_wrap=True)
    write_all({} if json_file is None else {json_file: to_json(results)})
    fail_for(results.failures)
