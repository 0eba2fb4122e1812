"""Records. Annotations are forgotten here, so the fields are named: `@dataclass("x", "y", z=0)`."""


class FrozenInstanceError(AttributeError):
    pass


def dataclass(*names, **defaults):
    if len(names) == 1 and isinstance(names[0], type):
        raise TypeError("annotations are forgotten here: name the fields, @dataclass('x', 'y', z=0)")
    every = names + tuple(defaults)

    def decorate(cls):
        def __init__(self, *values, **given):
            if len(values) > len(every):
                raise TypeError(cls.__name__ + "() takes " + str(len(every)) + " values")
            for name, value in zip(every, values):
                setattr(self, name, value)
            for name in every[len(values) :]:
                if name in given:
                    setattr(self, name, given.pop(name))
                elif name in defaults:
                    setattr(self, name, defaults[name])
                else:
                    raise TypeError(cls.__name__ + "() misses " + name)
            if given:
                raise TypeError(cls.__name__ + "() has no field " + list(given)[0])

        def __repr__(self):
            return cls.__name__ + "(" + ", ".join(name + "=" + repr(getattr(self, name)) for name in every) + ")"

        def __eq__(self, other):
            return isinstance(other, cls) and astuple(self) == astuple(other)

        cls.__init__, cls.__repr__, cls.__eq__ = __init__, __repr__, __eq__
        cls.fields = every
        return cls

    return decorate


def make_dataclass(name, names, **defaults):
    return dataclass(*names, **defaults)(type(name, (), {}))


def fields(record):
    return record.fields


def astuple(record):
    return tuple(getattr(record, name) for name in record.fields)


def asdict(record):
    return {name: getattr(record, name) for name in record.fields}


def replace(record, **changes):
    return type(record)(**dict(asdict(record), **changes))
