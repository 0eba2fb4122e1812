"""The glue between wasm2c's names and ours, for the spellings of different versions."""

from __future__ import annotations

import pytest

from tmebox.errors import CompileError
from tmebox_bench import wasm2c

OLDER = """
typedef struct Z_program_instance_t { int x; } Z_program_instance_t;
void Z_program_init_module(void);
void Z_program_instantiate(Z_program_instance_t*, struct Z_wasi_instance_t*);
/* import: 'wasi_snapshot_preview1' 'fd_close' */
u32 Z_wasiZ_fd_close(struct Z_wasi_instance_t*, u32);
/* import: 'wasi_snapshot_preview1' 'path_open' */
u32 Z_wasiZ_path_open(struct Z_wasi_instance_t*, u32, u32);
/* import: 'wasi_snapshot_preview1' 'proc_exit' */
void Z_wasiZ_proc_exit(struct Z_wasi_instance_t*, u32);

/* export: '_start' */
void Z_programZ__start(Z_program_instance_t*);
"""
NEWER = """
void wasm2c_program_instantiate(w2c_program*, struct w2c_wasi*);
/* import: 'wasi_snapshot_preview1' 'fd_close' */
u32 w2c_wasi_fd_close(struct w2c_wasi*, u32);
/* export: '_start' */
void w2c_program_0x5Fstart(w2c_program*);
"""


def test_known_imports_go_to_the_host_part_and_others_are_not_implemented() -> None:
    text = wasm2c.glue(OLDER, "program")
    assert "u32 Z_wasiZ_fd_close(struct Z_wasi_instance_t* a0, u32 a1) { return wasi_fd_close(a1); }" in text
    assert "Z_wasiZ_path_open(struct Z_wasi_instance_t* a0, u32 a1, u32 a2) { return 52; }" in text
    assert "void Z_wasiZ_proc_exit(struct Z_wasi_instance_t* a0, u32 a1) { wasi_proc_exit(a1); }" in text
    assert "Z_program_init_module();\n    Z_program_instantiate(&instance, 0);" in text


def test_newer_names_need_no_initialisation() -> None:
    text = wasm2c.glue(NEWER, "program")
    assert "static w2c_program instance;" in text
    assert "wasm2c_program_instantiate(&instance, 0);\n    w2c_program_0x5Fstart(&instance);" in text


def test_a_library_is_refused() -> None:
    with pytest.raises(CompileError, match="no _start"):
        wasm2c.glue("void x_instantiate(x*);", "program")
