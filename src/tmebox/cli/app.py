"""`tmebox COMMAND`: which commands there are, and which exit code an error becomes."""

from __future__ import annotations

from typing import Annotated

import typer

import tmebox
from tmebox.cli import bind, demo, doctor, driver, inspect, mcp, memory, pack, python, run, stub, tme, verify
from tmebox.cli.others import Commands
from tmebox.cli.output import EXIT_FAILED, EXIT_OK, EXIT_TRAP, complain, examples
from tmebox.errors import TmeboxError, Trap

VERBATIM = {"ignore_unknown_options": True, "allow_extra_args": True, "help_option_names": []}

app = typer.Typer(
    name="tmebox",
    cls=Commands,
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Exit codes: 0 success; 1 does not compile, does not verify or cannot be loaded; 2 wrong usage; "
    "134 stopped by a trap. [bold]run[/] otherwise exits with the program's own code.",
)


def _show_version(wanted: bool) -> None:
    if wanted:
        print(f"tmebox {tmebox.__version__}")
        raise typer.Exit


@app.callback()
def options(
    _: Annotated[
        bool,
        typer.Option("--version", help="Show the version and exit.", callback=_show_version, is_eager=True),
    ] = False,
) -> None:
    """Run untrusted native code inside your own process, in sandboxes that it cannot leave.

    First contact: [bold]tmebox demo[/]. Then a program of your own: [bold]tmebox run hello.c[/].
    """


app.command("demo", epilog=examples("tmebox demo", "tmebox demo --backend model"))(demo.demo)


@app.command(
    "cc",
    context_settings=VERBATIM,
    epilog=examples("tmebox cc -O2 -o blur.tbx blur.c", 'make CC="tmebox cc" AR="tmebox ar"'),
)
def cc(context: typer.Context) -> None:
    """Compile and link C as a C compiler does; the link step writes a module."""
    from tmebox.toolchain.cc.driver import main_cc

    raise typer.Exit(main_cc(context.args))


@app.command(
    "c++",
    context_settings=VERBATIM,
    epilog=examples("tmebox c++ -O2 -o hello.tbx hello.cpp", 'make CXX="tmebox c++" AR="tmebox ar"'),
)
def cxx(context: typer.Context) -> None:
    """Compile and link C++ as a C++ compiler does; the link step writes a module."""
    from tmebox.toolchain.cc.driver import main_cc

    raise typer.Exit(main_cc(context.args, is_cxx=True))


@app.command("ar", context_settings=VERBATIM, epilog=examples("tmebox ar rcs libblur.a blur.o"))
def ar(context: typer.Context) -> None:
    """Make and list archives (.a) of what [bold]tmebox cc -c[/] and [bold]c++ -c[/] compiled."""
    from tmebox.toolchain.cc.archive import main_ar

    raise typer.Exit(main_ar(context.args))


@app.command(
    "toolchain", context_settings=VERBATIM, epilog=examples('eval "$(tmebox toolchain --env)"; ./configure')
)
def toolchain(context: typer.Context) -> None:
    """Tell build systems about [bold]tmebox cc[/]: --env, --cmake FILE or --meson FILE."""
    from tmebox.toolchain.cc.description import main_toolchain

    raise typer.Exit(main_toolchain(context.args))


app.command(
    "run",
    context_settings={"allow_interspersed_args": False},
    epilog=examples(
        "tmebox run hello.c",
        "echo 2+2 | tmebox run --timeout 5 --memory 16MiB calc.tbx",
        "tmebox run --dir ./notes:/notes:ro grep.tbx -n word /notes/today",
    ),
)(run.run)
app.command(
    "python",
    epilog=examples(
        "tmebox python", "tmebox python --timeout 5 model.py", "tmebox python -c 'print(2 ** 100)'"
    ),
)(python.python)
app.command("mcp", epilog=examples("tmebox mcp --timeout 5"))(mcp.mcp)
app.command("verify", epilog=examples("tmebox verify blur.tbx"))(verify.verify)
app.command("inspect", epilog=examples("tmebox inspect blur.tbx", "tmebox inspect blur.c --function blur"))(
    inspect.inspect
)
app.command(
    "stub", epilog=examples("tmebox stub blur.tbx -o blur_types.py", "tmebox stub blur.c -o blur.pyi")
)(stub.stub)
app.command(
    "bind",
    epilog=examples("tmebox bind expat.h --sources expat/lib -o expat_box"),
)(bind.bind)
app.command("pack", epilog=examples("tmebox pack expat_box --version 2.5.0"))(pack.pack)
app.add_typer(tme.tme)
app.add_typer(memory.memory)
app.command("doctor", epilog=examples("tmebox doctor"))(doctor.doctor)
app.add_typer(
    driver.driver,
    name="driver",
    help="Prove the kernel driver for TME-MK in virtual machines.",
    epilog=examples("tmebox driver test", "tmebox driver test --kernel 6.12 --quick"),
)


def main() -> int:
    """Run `sys.argv` as a command and return its exit code."""
    try:
        app(prog_name="tmebox")
    except SystemExit as leaving:
        return leaving.code if isinstance(leaving.code, int) else EXIT_OK
    except Trap as trap:
        from tmebox.cli.trap_report import show_trap

        show_trap(trap)
        return EXIT_TRAP
    except (TmeboxError, OSError) as error:
        complain(str(error))
        return EXIT_FAILED
    except ImportError as error:
        complain(f"{error}\n`tmebox doctor` tells what is missing")
        return EXIT_FAILED
    return EXIT_OK
