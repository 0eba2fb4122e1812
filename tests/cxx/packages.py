"""Packages in C++, and which of their own tests run in one process: `test_packages.py` runs them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

GOOGLETEST = ("googletest/src/gtest-all.cc", "googlemock/src/gmock-all.cc")
GOOGLETEST_DIRS = ("googletest", "googletest/include", "googlemock", "googlemock/include")
_FOR_GOOGLETEST = ("-DGTEST_HAS_PTHREAD=0", "-DGTEST_HAS_DEATH_TEST=0")
PASSED = r"\[  PASSED  \] (\d+) tests"


@dataclass(frozen=True)
class Program:
    """sources: patterns of files of the package that all tests need; tests: of those with a `main` each.
    together: make one program of all, whose main is in `own`, text that is compiled with them; else one of
    each test. left_out: a regular expression of files that the patterns match, too. includes: directories of
    the package. expected: what a program prints if its tests pass; arguments: of each program
    that `arguments_of` does not name."""

    package: str
    sources: tuple[str, ...]
    tests: tuple[str, ...] = ()
    expected: str = ""
    flags: tuple[str, ...] = ()
    includes: tuple[str, ...] = (".",)
    own: str = ""
    together: bool = True
    arguments: tuple[str, ...] = ()
    arguments_of: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    left_out: str = r"(?!)"
    uses_googletest: bool = False


def _named(beginning: str, suffix: str, words: str) -> tuple[str, ...]:
    return tuple(f"{beginning}{word}{suffix}" for word in words.split())


_LEVELDB = r"""
#include <gtest/gtest.h>
#include <memory>
#include "helpers/memenv/memenv.h"
#include "leveldb/db.h"
#include "leveldb/env.h"
#include "leveldb/filter_policy.h"
using namespace leveldb;
static std::string key(int n) { return "key" + std::to_string(n * 7919 % 20000); }
TEST(InMemory, PutGetDeleteIterateSnapshotReopen) {
	std::unique_ptr<Env> env(NewMemEnv(Env::Default()));
	std::unique_ptr<const FilterPolicy> filter(NewBloomFilterPolicy(10));
	Options options;
	options.env = env.get();
	options.filter_policy = filter.get();
	options.create_if_missing = true;
	options.write_buffer_size = 64 << 20;
	for (int round = 0; round < 3; round++) {
		DB *opened;
		ASSERT_TRUE(DB::Open(options, "/data", &opened).ok());
		std::unique_ptr<DB> db(opened);
		for (int i = 0; i < 20000; i++)
			ASSERT_TRUE(db->Put({}, key(i), std::string(i % 50, 'a' + round)).ok());
		const Snapshot *before = db->GetSnapshot();
		for (int i = 0; i < 20000; i += 3) ASSERT_TRUE(db->Delete({}, key(i)).ok());
		std::string value;
		for (int i = 0; i < 20000; i++) {
			EXPECT_EQ(db->Get({}, key(i), &value).ok(), i % 3 != 0);
			ReadOptions then;
			then.snapshot = before;
			ASSERT_TRUE(db->Get(then, key(i), &value).ok());
			EXPECT_EQ(value, std::string(i % 50, 'a' + round));
		}
		db->ReleaseSnapshot(before);
		std::unique_ptr<Iterator> all(db->NewIterator({}));
		int count = 0;
		std::string last;
		for (all->SeekToFirst(); all->Valid(); all->Next(), count++) {
			EXPECT_LT(last, all->key().ToString());
			last = all->key().ToString();
		}
		EXPECT_EQ(count, 20000 - 6667);
	}
}
int main(int c, char **v) { testing::InitGoogleTest(&c, v); return RUN_ALL_TESTS(); }
"""

PROGRAMS = {
    "pugixml": Program(
        "pugixml",
        ("src/pugixml.cpp", *_named("tests/", ".cpp", "main test allocator writer_string test_*")),
        expected=r"Success: \d+ tests passed",
        flags=("-U__x86_64",),  # its allocator wants pages without access at the end of each block
        includes=("src",),
    ),
    "fmt": Program(
        "fmtlib",
        (
            *("src/format.cc", "src/os.cc"),
            *_named("test/", ".cc", "test-main util gtest-extra"),
        ),
        _named("test/", "-test.cc", "args color compile core format ostream printf ranges"),
        expected=PASSED,
        flags=_FOR_GOOGLETEST,
        includes=("include", "test"),
        together=False,
        uses_googletest=True,
    ),
    "re2": Program(
        "re2",
        (
            *("re2/*.cc", "util/rune.cc", "util/strutil.cc", "util/pcre.cc", "util/test.cc"),
            *_named(
                "re2/testing/",
                ".cc",
                "backtrack dump exhaustive_tester null_walker regexp_generator string_generator tester",
            ),
            *_named(
                "re2/testing/",
                "_test.cc",
                "charclass compile filtered_re2 mimics_pcre parse possible_match re2 re2_arg regexp "
                "required_prefix search set simplify string_generator random",
            ),
        ),
        expected="PASS",
        left_out=r"re2/fuzz",
    ),
    "json": Program(
        "nlohmann-json3",
        _named(
            "tests/src/unit-",
            ".cpp",
            "algorithms alt-string capacity comparison element_access1 items iterators1 json_pointer "
            "merge_patch modifiers pointer_access user_defined_input",
        ),
        expected=r"Status: SUCCESS!",
        flags=("-DJSON_TEST_KEEP_MACROS", "-DJSON_TEST_USING_MULTIPLE_HEADERS=0"),
        includes=("single_include", "tests/thirdparty/doctest", "tests/src"),
        own="#define DOCTEST_CONFIG_IMPLEMENT_WITH_MAIN\n#include <doctest.h>\n",
    ),
    "simdjson": Program(
        "simdjson",
        ("src/simdjson.cpp",),
        (
            *_named(
                "tests/dom/",
                ".cpp",
                "basictests document_stream_tests document_tests errortests extracting_values_example "
                "integer_tests parse_many_test pointercheck random_string_number_tests "
                "trivially_copyable_test",
            ),
            *_named("tests/", ".cpp", "minify_tests padded_string_tests unicode_tests"),
        ),
        flags=("-DSIMDJSON_IMPLEMENTATION_ICELAKE=0", '-DSIMDJSON_BENCHMARK_DATA_DIR="jsonexamples/"'),
        includes=("include", "src", "tests", "tests/dom"),
        together=False,
    ),
    "leveldb": Program(
        "leveldb",
        (
            *("table/*.cc", "util/*.cc", "helpers/memenv/memenv.cc"),
            *_named(
                "db/",
                ".cc",
                "builder db_impl db_iter dbformat filename log_reader log_writer memtable repair table_cache "
                "version_edit version_set write_batch",
            ),
        ),
        (
            *_named(
                "db/",
                "_test.cc",
                "dbformat filename log skiplist version_edit version_set write_batch",
            ),
            *_named("util/", "_test.cc", "arena bloom cache coding crc32c hash logging status"),
            *("table/filter_block_test.cc", "helpers/memenv/memenv_test.cc"),
        ),
        expected=PASSED,
        flags=(*_FOR_GOOGLETEST, "-DLEVELDB_PLATFORM_POSIX=1", "-DHAVE_FDATASYNC=1"),
        includes=("include", "."),
        own=_LEVELDB,
        left_out=r"_windows|(^table|^util)/.*_test(_helper)?\.",
        uses_googletest=True,
    ),
    "harfbuzz": Program(
        "harfbuzz",
        ("src/hb-*.cc",),
        (
            "src/test.cc",
            *_named(
                "src/test-",
                ".cc",
                "algs array bimap buffer-serialize iter machinery map multimap number ot-glyphname ot-meta "
                "ot-name priority-queue serialize set unicode-ranges vector",
            ),
        ),
        flags=("-UNDEBUG", "-DHB_NO_MT"),
        includes=("src",),
        left_out=r"hb-(coretext|directwrite|ft|gdi|glib|gobject|graphite2|icu|uniscribe|subset)",
        arguments=("test/api/fonts/Inconsolata-Regular.abc.ttf",),
        arguments_of={
            "test-ot-glyphname": ("test/api/fonts/SourceSansPro-Regular.abc.otf",),  # its glyphs have names
            "test-ot-meta": ("test/api/fonts/meta.ttf",),
        },
        together=False,
    ),
}
