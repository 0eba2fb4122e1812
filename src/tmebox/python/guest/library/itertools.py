"""The functions of itertools."""


def count(start=0, step=1):
    while True:
        yield start
        start += step


def cycle(items):
    kept = []
    for item in items:
        kept.append(item)
        yield item
    while kept:
        yield from kept


def repeat(item, times=None):
    while times is None or times > 0:
        yield item
        if times is not None:
            times -= 1


def chain(*parts):
    for part in parts:
        yield from part


def from_iterable(parts):
    for part in parts:
        yield from part


def islice(items, *bounds):
    part = slice_bounds(*bounds)
    start, stop, step = part
    items = iter(items)
    at = 0
    for item in items:
        if stop is not None and at >= stop:
            return
        if at >= start and (at - start) % step == 0:
            yield item
        at += 1
        if stop is not None and at >= stop:
            return


def slice_bounds(start, *rest):
    if not rest:
        return 0, start, 1
    return start or 0, rest[0], (rest[1] if len(rest) > 1 else 1) or 1


def accumulate(items, function=None, *, initial=None):
    items = iter(items)
    value = initial
    if value is None:
        for value in items:
            break
        else:
            return
    yield value
    for item in items:
        value = value + item if function is None else function(value, item)
        yield value


def takewhile(wanted, items):
    for item in items:
        if not wanted(item):
            return
        yield item


def dropwhile(unwanted, items):
    dropping = True
    for item in items:
        dropping = dropping and unwanted(item)
        if not dropping:
            yield item


def filterfalse(unwanted, items):
    return (item for item in items if not unwanted(item))


def starmap(function, items):
    return (function(*item) for item in items)


def compress(items, wanted):
    return (item for item, one in zip(items, wanted) if one)


def pairwise(items):
    items = iter(items)
    for before in items:
        break
    else:
        return
    for item in items:
        yield before, item
        before = item


def zip_longest(*parts, fillvalue=None):
    parts = [list(part) for part in parts]
    for i in range(max([len(part) for part in parts] or [0])):
        yield tuple(part[i] if i < len(part) else fillvalue for part in parts)


def groupby(items, key=None):
    group, name, first = [], None, True
    for item in items:
        own = item if key is None else key(item)
        if first or own != name:
            if not first:
                yield name, iter(group)
            group, name, first = [], own, False
        group.append(item)
    if not first:
        yield name, iter(group)


def product(*parts, repeat=1):
    found = [()]
    for part in [list(part) for part in parts] * repeat:
        found = [one + (item,) for one in found for item in part]
    return iter(found)


def permutations(items, r=None):
    items = tuple(items)
    r = len(items) if r is None else r

    def go(taken, rest):
        if len(taken) == r:
            yield taken
            return
        for i in range(len(rest)):
            yield from go(taken + (rest[i],), rest[:i] + rest[i + 1 :])

    return go((), items)


def combinations(items, r):
    items = tuple(items)

    def go(taken, start):
        if len(taken) == r:
            yield taken
            return
        for i in range(start, len(items)):
            yield from go(taken + (items[i],), i + 1)

    return go((), 0)
