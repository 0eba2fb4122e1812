"""The C library from inside: self-checking programs, compiled and run in a sandbox. Their exit code is the
number of checks that failed, and stderr names them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

import tmebox
import tmebox.runtime.core  # tells what there is, before the test below does
from tests.bases.modules import needs
from tests.forked import ChildOutcome
from tmebox import _native, abi

PROGRAMS = Path(__file__).parent / "programs"


def run(name: str, *arguments: str, memory: str = "64MiB", **options: object) -> tmebox.Completed:
    module = tmebox.compile(PROGRAMS / f"{name}.c")
    with tmebox.Sandbox(module, memory=memory, timeout=60.0) as sandbox:
        return sandbox.run([name, *arguments], **options)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["strings", "allocation", "process", "numbers", "timers"])
def test_every_check_of_the_program_holds_in_a_sandbox(name: str) -> None:
    completed = run(name)
    assert (completed.exit_code, completed.stderr.decode()) == (0, "")


@pytest.mark.parametrize("told", [0, abi.PROCESSOR_AVX2])
def test_string_functions_are_right_with_and_without_wide_vectors(
    told: int, forked: Callable[..., ChildOutcome]
) -> None:
    """What a window says of the processor is said when it is made: so in a child that has made none."""
    if told and not _native.cpu_features()["avx2"]:
        pytest.skip("this CPU has no AVX2")

    def child() -> tuple[int, str]:
        _native.set_processor(told)
        completed = run("strings")
        assert _native.processor() == told
        return completed.exit_code, completed.stderr.decode()

    assert forked(child).result() == (0, "")


def test_a_program_reaches_its_files_streams_arguments_and_environment(tmp_path: Path) -> None:
    completed = run(
        "files",
        "one",
        "two words",
        stdin=b"input\n",
        env={"COLOUR": "green"},
        dirs=[f"{tmp_path}:/d"],
    )
    assert (completed.exit_code, completed.stderr.decode()) == (0, "")
    assert completed.stdout == b"done\n"
    assert (tmp_path / "raw").read_bytes() == b"01234"


def test_the_allocator_holds_its_promises_with_little_memory() -> None:
    completed = run("allocation", memory="40MiB")
    assert (completed.exit_code, completed.stderr.decode()) == (0, "")


def run_text(text: str, **options: object) -> tmebox.Completed:
    with tmebox.Sandbox(tmebox.compile(source_text=text), timeout=20.0) as sandbox:
        return sandbox.run(["program"], **options)  # type: ignore[arg-type]


def test_start_up_runs_constructors_then_main_then_exit_handlers_then_destructors() -> None:
    completed = run_text(
        """
        #include <stdio.h>
        #include <stdlib.h>
        __attribute__((constructor)) static void before(void) { printf("constructor,"); }
        __attribute__((destructor)) static void after(void) { printf("destructor"); }
        static void handler(void) { printf("handler,"); }
        int main(void) { atexit(handler); printf("main,"); return 300; }
        """
    )
    assert completed.stdout == b"constructor,main,handler,destructor"
    assert completed.exit_code == 300 % 256


def test_an_aborting_program_is_reported_as_such() -> None:
    with pytest.raises(tmebox.Aborted):
        run_text("#include <stdlib.h>\nint main(void) { abort(); }")


def test_a_failed_assertion_says_what_failed_and_aborts() -> None:
    said = bytearray()
    with pytest.raises(tmebox.Aborted):
        run_text("#include <assert.h>\nint main(void) { assert(1 == 2); }", stderr=said.extend)
    assert b"1 == 2" in said


def test_an_unhandled_signal_ends_the_program() -> None:
    with pytest.raises(tmebox.Aborted):
        run_text("#include <signal.h>\nint main(void) { raise(SIGTERM); return 0; }")


def test_a_sleeping_program_is_stopped_by_its_time_limit() -> None:
    module = tmebox.compile(source_text="#include <unistd.h>\nint main(void) { sleep(1000); return 0; }")
    with tmebox.Sandbox(module, timeout=0.2) as sandbox, pytest.raises(tmebox.Timeout):
        sandbox.run(["program"])


def test_a_null_pointer_after_a_failed_allocation_is_out_of_memory() -> None:
    text = """
        #include <stdlib.h>
        int main(void) { for (;;) *(volatile char *)malloc(1 << 20) = 1; }
        """
    with pytest.raises(tmebox.OutOfMemory):
        run_text(text)


def test_library_functions_use_the_c_library_from_their_first_call() -> None:
    module = tmebox.compile(
        source_text="""
        #include <errno.h>
        #include <stdio.h>
        #include <stdlib.h>
        #include <string.h>
        static int ready;
        __attribute__((constructor)) static void prepare(void) { ready = 7; }
        int work(int n)
        {
            char *text = malloc(100);
            snprintf(text, 100, "%d", n);
            int length = (int)strlen(text);
            free(text);
            errno = 0;
            int overflowed = strtol("99999999999999999999", NULL, 10) > 0 && errno == ERANGE;
            return length + ready * 100 + overflowed * 1000;
        }
        void say(const char *text) { puts(text); }
        """
    )
    said = bytearray()
    with tmebox.Sandbox(module, stdout=said.extend) as sandbox:
        assert sandbox.work(12345) == 1705
        sandbox.say("hello")
    assert said == b"hello\n"


def test_a_function_that_needs_no_library_brings_none_in() -> None:
    module = tmebox.compile(source_text="int add(int a, int b) { return a + b; }")
    assert len(module.file.text) < 200
    assert module.file.imports == ()


@pytest.mark.parametrize(
    ("forge", "ends"),
    [
        ("word[6] += 1UL << 32", "into the middle of an instruction"),
        ("word[6] = word[6] << 32 >> 32 | (unsigned long)main << 32", "to where no call returns to"),
        ("word[6] -= 8", "below its frame"),
        ("word[6] += 8", "above its frame"),
        ("word[6] += 1 << 20", "above the stack"),
        ("word[6] = word[6] >> 32 << 32", "to an offset that is no stack's"),
    ],
)
def test_a_forged_jump_buffer_leads_nowhere(forge: str, ends: str) -> None:
    """The stack pointer and the place are the halves of one word: both have to be a live frame's."""
    text = """
        #include <setjmp.h>
        #include <stdlib.h>
        int main(int count, char **arguments)
        {
            jmp_buf there;
            int seen = setjmp(there);
            if (seen) return seen;
            unsigned long *word = (unsigned long *)there;
            if (count == 1) FORGE;
            longjmp(there, 9);
        }
        """
    with tmebox.Sandbox(tmebox.compile(source_text=text.replace("FORGE", forge)), timeout=20.0) as sandbox:
        assert sandbox.run(["program", "as it was"]).exit_code == 9
        with pytest.raises(tmebox.ControlFlowViolation):
            sandbox.run(["program"])


def test_a_forged_jump_buffer_reaches_neither_the_stack_of_the_host_nor_arbitrary_code() -> None:
    """Where the stack is in the window, the jump goes through the checks of any jump and write of rsp."""
    text = """
        #include <setjmp.h>
        int main(void)
        {
            jmp_buf there;
            if (setjmp(there)) return 1;
            unsigned long *words = (unsigned long *)there;
            words[7] += 1; /* into the middle of an instruction */
            longjmp(there, 1);
        }
        """
    needs("r15")
    stack = text.replace("words[7] += 1;", "words[6] = 0x7fff00000000;")
    for forged, trap in ((text, tmebox.ControlFlowViolation), (stack, tmebox.MemoryFault)):
        module = tmebox.compile(source_text=forged, base="r15")
        with tmebox.Sandbox(module, timeout=20.0) as sandbox, pytest.raises(trap):
            sandbox.run(["program"])


def test_a_program_learns_how_much_memory_it_has_had_and_that_it_is_in_no_group() -> None:
    completed = run_text(
        """
        #include <errno.h>
        #include <grp.h>
        #include <limits.h>
        #include <stdio.h>
        #include <stdlib.h>
        #include <string.h>
        #include <sys/resource.h>
        #include <unistd.h>
        static long most(int who) { struct rusage used; getrusage(who, &used); return used.ru_maxrss; }
        int main(void)
        {
            long before = most(RUSAGE_SELF);
            volatile char *block = malloc(8 << 20);
            for (int i = 0; i < 8 << 20; i += 4096) block[i] = 1;
            long after = most(RUSAGE_SELF);
            free((void *)block);
            printf("%d %d %d %ld ", before > 0, after - before >= 8192, most(RUSAGE_SELF) >= after, most(-1));
            gid_t groups[1];
            printf("%d %d ", getgroups(0, NULL), getgroups(1, groups));
            printf("%d %d ", getgroups(-1, groups), errno == EINVAL);
            printf("%d", getgroups(INT_MIN, groups));
        }
        """
    )
    assert completed.stdout == b"1 1 1 0 0 0 -1 1 -1"
