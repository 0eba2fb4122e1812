"""What MicroPython has in C, and two classes more."""

from ucollections import OrderedDict, deque, namedtuple


class defaultdict(dict):
    def __init__(self, default_factory=None, *arguments, **keywords):
        super().__init__(*arguments, **keywords)
        self.default_factory = default_factory

    def __getitem__(self, key):
        try:
            return super().__getitem__(key)
        except KeyError:
            if self.default_factory is None:
                raise
            value = self.default_factory()
            self[key] = value
            return value


class Counter(dict):
    def __init__(self, items=()):
        super().__init__()
        self.update(items)

    def __getitem__(self, key):
        return self.get(key, 0)

    def update(self, items=()):
        if isinstance(items, dict):
            for key, count in items.items():
                self[key] = self.get(key, 0) + count
        else:
            for key in items:
                self[key] = self.get(key, 0) + 1

    def most_common(self, n=None):
        ranked = sorted(self.items(), key=lambda item: -item[1])
        return ranked if n is None else ranked[:n]

    def elements(self):
        for key, count in self.items():
            for _ in range(count):
                yield key

    def total(self):
        return sum(self.values())
