"""What a program is told of its limits is what its sandbox has."""

from __future__ import annotations

import pytest

import tmebox

SOURCE = r"""
#include <sys/resource.h>
#include <sys/sysinfo.h>

long stack_limit(void)
{
	struct rlimit limit;
	return getrlimit(RLIMIT_STACK, &limit) ? -1 : (long)limit.rlim_cur;
}
long lower(long soft)
{
	struct rlimit limit = {soft, soft};
	return setrlimit(RLIMIT_STACK, &limit);
}
long total(void)
{
	struct sysinfo info;
	return sysinfo(&info) ? -1 : (long)(info.totalram * info.mem_unit);
}
"""
MIB = 1 << 20


@pytest.fixture(scope="module")
def module() -> tmebox.Module:
    return tmebox.compile(source_text=SOURCE)


@pytest.mark.parametrize(
    ("memory_mib", "stack_mib"), [(64, 8), (64, 1), (2048, 8), (3000, 8), (64, 512), (64, 1024), (1500, 1024)]
)
def test_stack_and_memory_are_what_was_given(module: tmebox.Module, memory_mib: int, stack_mib: int) -> None:
    with tmebox.Sandbox(module, memory=memory_mib * MIB, stack=stack_mib * MIB) as box:
        assert box.stack_limit() == stack_mib * MIB
        assert box.total() == memory_mib * MIB
        assert box.lower(MIB // 2) == 0
        assert box.stack_limit() == MIB // 2
        assert box.lower(MIB) == -1
