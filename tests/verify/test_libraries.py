"""The second opinion on real programs: what was compiled, and the C library with it."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

import tmebox
from tests.verify.recheck import claimed_by, complaints, disassemble
from tmebox.modulefile.file import ModuleFile
from tmebox.toolchain.build import CompileOptions, compile_object, link_program
from tmebox.toolchain.libc.libcxx import libcxx
from tmebox.toolchain.link.inputs import extract
from tmebox.verify import verify

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("objdump") is None, reason="the second opinion is objdump's"),
]

C = """
#include <alloca.h>
#include <errno.h>
#include <math.h>
#include <pthread.h>
#include <regex.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <wchar.h>
static jmp_buf place;
static int before(const void *a, const void *b) { return *(const int *)a - *(const int *)b; }
static void *work(void *number) { return (char *)number + 1; }
static void leave(int value) { longjmp(place, value); }
int everything(int n) {
  char text[300];
  int numbers[] = {3, 1, 2}, *room = alloca((n & 63) * 4 + 4);
  pthread_t thread;
  regex_t pattern;
  time_t now = 0;
  qsort(numbers, 3, sizeof *numbers, before);
  memset(room, n, 4);
  snprintf(text, sizeof text, "%d %s %f %La", n, strerror(errno), pow(n, 0.5), (long double)strtod("1e9", 0));
  if (setjmp(place) == 0) leave(7);
  pthread_create(&thread, 0, work, room);
  pthread_join(thread, 0);
  if (regcomp(&pattern, "a*b", 0) == 0) regfree(&pattern);
  strftime(text, sizeof text, "%c", gmtime(&now));
  swprintf((wchar_t *)room, 1, L"%ls", L"x");
  printf("%s", text);
  return numbers[0] + room[0];
}
"""
CXX = """
#include <map>
#include <sstream>
#include <stdexcept>
#include <string>
struct Noisy { std::string *text; ~Noisy() { *text += "."; } };
static int fail(int n, std::string *text) {
  Noisy noisy{text};
  if (n > 2) throw std::runtime_error("n");
  return n;
}
extern "C" int throwing(int n) {
  std::string text;
  std::map<std::string, int> seen;
  std::ostringstream out;
  try {
    seen["a"] = fail(n, &text);
    out << seen["a"] << 1.5;
  } catch (const std::exception &error) {
    text += error.what();
  }
  return (int)(text.size() + out.str().size());
}
"""


def objections(file: ModuleFile, folder: Path) -> list[str]:
    claimed = claimed_by(file)
    verdict = verify(
        file.text,
        file.text_address,
        functions=claimed.functions,
        labels=claimed.labels,
        table_entries=file.table_entries,
        fact_places=file.fact_places,
        facts=file.facts,
        depth_places=file.depth_places,
        depths=file.depths,
        base=file.base,
    )
    code, tables = file.text[: file.code_bytes], file.text[file.code_bytes :]
    (lines,) = disassemble([code], file.text_address, folder)
    return list(complaints(lines, len(code), file.base, tables, claimed, verdict))


def test_nothing_is_said_against_a_program_with_much_of_the_c_library(tmp_path: Path) -> None:
    file = tmebox.compile(source_text=C).file
    assert file.code_bytes > 100_000
    assert objections(file, tmp_path)[:20] == []


@pytest.mark.cxx
def test_nothing_is_said_against_a_program_with_exceptions_and_streams(tmp_path: Path) -> None:
    source = tmp_path / "throwing.cc"
    source.write_text(CXX)
    file = tmebox.compile(source).file
    assert file.code_bytes > 200_000
    assert objections(file, tmp_path)[:20] == []


@pytest.mark.cxx
def test_nothing_is_said_against_all_of_cxxs_library(tmp_path: Path) -> None:
    main = tmp_path / "main.cc"
    main.write_text("int main() { return 0; }\n")
    options = CompileOptions(undefined="linker")
    compile_object(main, main.with_suffix(".o"), options)
    file = link_program([main.with_suffix(".o"), *extract(libcxx(), tmp_path / "all")], (), options)
    assert file.code_bytes > 600_000
    assert objections(file, tmp_path)[:20] == []
