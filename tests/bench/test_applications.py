"""`tmebox bench nbench` and `openssl`: what programs print, and builds that are compared."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tmebox_bench.applications import nbench, openssl, rows
from tmebox_bench.applications.rows import Results
from tmebox_bench.runners import RunError

MAKEFILE = """\
nbench: nbench.c
\t$(CC) -O2 nbench.c -o nbench
"""
PROGRAM = r"""
#include <stdio.h>
#include <string.h>
#include <time.h>

/* Of BYTEmark's shape: reads the commands it is given, and prints one index. */
int main(int count, char **words)
{
	char line[80], test[80] = "";
	FILE *commands = count == 2 && !strncmp(words[1], "-c", 2) ? fopen(words[1] + 2, "r") : NULL;
	FILE *data = fopen("NNET.DAT", "r");
	if (!commands || !data) return 1;
	while (fgets(line, sizeof line, commands))
		if (!strncmp(line, "DO", 2)) sscanf(line, "DO%70[A-Z]=T", test);
	static const char *names[][2] = {
		{ "NUMSORT", "NUMERIC SORT" }, { "STRINGSORT", "STRING SORT" }, { "BITFIELD", "BITFIELD" },
		{ "EMF", "FP EMULATION" }, { "FOUR", "FOURIER" }, { "ASSIGN", "ASSIGNMENT" }, { "IDEA", "IDEA" },
		{ "HUFF", "HUFFMAN" }, { "NNET", "NEURAL NET" }, { "LU", "LU DECOMPOSITION" },
	};
	for (unsigned i = 0; i < sizeof names / sizeof *names; i++) {
		if (strcmp(names[i][0], test)) continue;
		clock_t begun = clock();
		volatile unsigned sum = 0;
		for (unsigned n = 0; n < 3000000; n++) sum += n;
		double per_s = 1.0 * CLOCKS_PER_SEC / (clock() - begun + 1);
		printf("%-20s:%16.5g  :%11.2f  :%11.2f\n", names[i][1], per_s, 1.0, 1.0);
		return 0;
	}
	return 1;
}
"""


def silent(step: str, done: int, total: int) -> None:
    pass


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    (tmp_path / "Makefile").write_text(MAKEFILE)
    (tmp_path / "nbench.c").write_text(PROGRAM)
    (tmp_path / "NNET.DAT").write_text("5 7 8\n")
    return tmp_path


@pytest.mark.slow
def test_a_tree_of_nbench_is_built_and_compared(tree: Path) -> None:
    before = sorted(path.name for path in tree.iterdir())
    results = nbench.bench_nbench(tree, rounds=1, progress=silent)
    assert not results.failures
    assert [row.work for row in results.rows] == list(nbench.TESTS)
    assert all(set(row.cost) == {"native", "same libc"} for row in results.rows)
    assert sorted(path.name for path in tree.iterdir()) == before
    table = rows.table(results)
    assert len(table.rows) == 11 and len(table.rows[0]) == len(table.headings) == 5
    assert json.loads(rows.to_json(results))["rows"][0]["work"] == "NUMERIC SORT"


def test_an_index_is_read_in_both_notations() -> None:
    text = "BITFIELD            :      1.6714e+09  :     286.71  :      59.89\n"
    assert nbench.parse(text, "BITFIELD") == 1.6714e9
    assert (
        nbench.parse("IDEA                :           18341  :     280.52  :      83.29\n", "IDEA") == 18341
    )
    with pytest.raises(RunError):
        nbench.parse(text, "IDEA")


def test_an_index_is_read_below_warnings() -> None:
    text = (
        "ASSIGNMENT          :\n** WARNING: The current test result is NOT 95 % statistically certain.\n"
        "** WARNING: The variation among the individual results is too large.\n"
        "                    :          84.015  :     319.69  :      82.92\n"
    )
    assert nbench.parse(text, "ASSIGNMENT") == 84.015
    for cut in (text.splitlines()[0] + "\n", text.rpartition("  :          ")[0]):
        with pytest.raises(RunError):
            nbench.parse(cut, "ASSIGNMENT")


def test_operations_of_libcrypto_are_read() -> None:
    assert openssl.parse("SHA1 60125 b79b\n") == [("SHA1", 60125.0, "b79b")]
    for wrong in ("", "SHA1 0 b79b\n", "SHA1 failed\n"):
        with pytest.raises(RunError):
            openssl.parse(wrong)


def test_what_libcrypto_chooses_by_is_read() -> None:
    said = "OPENSSL_ia32cap=0x7ed8220b078bffff:0x40069c219c97a9\n"
    assert openssl.capabilities(said) == "0x7ed8220b078bffff:0x40069c219c97a9"
    with_variable = "OPENSSL_ia32cap=0x1:0x2 env:0x1:0x2\n"
    assert openssl.capabilities(with_variable) == "0x1:0x2"
    assert openssl.capabilities("none\n") == ""


def test_the_native_side_is_told_what_a_sandbox_is() -> None:
    program = Path("/nowhere/evp_test")
    assert openssl.command("native", program, program.parent, "0x1:0x2") == [
        *("env", "OPENSSL_ia32cap=0x1:0x2"),
        str(program),
    ]
    assert openssl.command("native", program, program.parent) == [str(program)]
    assert "env" not in openssl.command("sandboxed", program, program.parent, "0x1:0x2")


def test_assembly_is_left_out_of_one_kind_of_build() -> None:
    with_, without = (
        str(list(openssl.sources(assembly=assembly).steps(Path("tree"), "cc", "sandboxed")))
        for assembly in (True, False)
    )
    assert "no-asm" not in with_ and "WITH_ASSEMBLY" in with_
    assert "no-asm" in without and "WITH_ASSEMBLY" not in without


def test_operations_are_those_of_the_program() -> None:
    table = openssl.WORK.read_text().partition("operations[] = {")[2].partition("};")[0]
    assert tuple(re.findall(r"^\t\{ \"([^\"]+)\"", table, re.MULTILINE)) == openssl.OPERATIONS


def test_counts_of_test_vectors_are_read() -> None:
    said = (
        "# Completed 2 tests with 0 errors and 1 skipped\n# Completed 3 tests with 1 errors and 0 skipped\n"
    )
    assert openssl.completed(said) == (5, 1, 1)
    with pytest.raises(RunError):
        openssl.completed("Killed\n")


def test_a_table_without_rows_has_none() -> None:
    assert rows.table(Results(machine={})).rows == ()


def test_the_native_compiler_links_the_guests_library(tmp_path: Path) -> None:
    source = tmp_path / "sum.c"
    source.write_text("#include <stdio.h>\nint main(int n, char **w) { return printf(GREETING) != 3; }\n")
    command = [sys.executable, "-m", "tmebox_bench.native_cc", "-O2", '-DGREETING="hi\\n"', "sum.c"]
    subprocess.run([*command, "-o", "sum"], cwd=tmp_path, check=True)
    assert subprocess.run([tmp_path / "sum"], capture_output=True, check=True).stdout == b"hi\n"
    broken = subprocess.run([*command[:-1], "-c", "none.c"], cwd=tmp_path, capture_output=True, check=False)
    assert broken.returncode == 1
