"""Names for annotations, which are forgotten here."""


class _Any:
    def __getitem__(self, key):
        return self

    def __call__(self, *arguments, **keywords):
        return self


Any = Callable = Dict = Generator = Iterable = Iterator = List = Literal = Mapping = Optional = Sequence = Set = _Any()
Tuple = Type = Union = Final = ClassVar = TypeVar = Protocol = NoReturn = Awaitable = Coroutine = _Any()
TYPE_CHECKING = False


def cast(kind, value):
    return value
