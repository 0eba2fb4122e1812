"""The functions of functools that programs use most."""


def partial(function, *first, **given):
    return lambda *arguments, **keywords: function(*first, *arguments, **dict(given, **keywords))


def reduce(function, items, *start):
    items = iter(items)
    value = start[0] if start else next(items)
    for item in items:
        value = function(value, item)
    return value


def wraps(wrapped, *_):
    return lambda wrapper: wrapper


def cache(function):
    known = {}

    def cached(*arguments):
        if arguments not in known:
            known[arguments] = function(*arguments)
        return known[arguments]

    return cached


def lru_cache(maxsize=128, typed=False):
    return cache(maxsize) if callable(maxsize) else cache


def cmp_to_key(compare):
    class Key:
        def __init__(self, value):
            self.value = value

        def __lt__(self, other):
            return compare(self.value, other.value) < 0

    return Key
