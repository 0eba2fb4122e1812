"""`tmebox cc`, `c++`, `ar` and `toolchain` in the list of commands. Arguments arrive as they were typed.

`tmebox.__main__` hands them over before the command line's packages are imported, so these run only where
something else calls the command line's `main`.
"""

from __future__ import annotations

import typer


def cc(context: typer.Context) -> None:
    """Compile and link C as a C compiler does; the link step writes a module."""
    from tmebox.toolchain.cc.driver import main_cc

    raise typer.Exit(main_cc(context.args))


def cxx(context: typer.Context) -> None:
    """Compile and link C++ as a C++ compiler does; the link step writes a module."""
    from tmebox.toolchain.cc.driver import main_cc

    raise typer.Exit(main_cc(context.args, is_cxx=True))


def ar(context: typer.Context) -> None:
    """Make and list archives (.a) of what [bold]tmebox cc -c[/] and [bold]c++ -c[/] compiled."""
    from tmebox.toolchain.cc.archive import main_ar

    raise typer.Exit(main_ar(context.args))


def toolchain(context: typer.Context) -> None:
    """Tell build systems about [bold]tmebox cc[/]: --env, --cmake FILE or --meson FILE."""
    from tmebox.toolchain.cc.description import main_toolchain

    raise typer.Exit(main_toolchain(context.args))
