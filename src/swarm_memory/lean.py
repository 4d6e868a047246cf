"""Parts of the standard library without the price of importing them, which every hook would pay.

`collections`, `functools` and `contextlib` are 13 million instructions of a hook's 110, of which
a bare start of Python is 39, and each `namedtuple` adds 0.65 million, since it compiles a
function. `typing` and `dataclasses` cost more still. What is here behaves as its namesake does.
"""

from __future__ import annotations

MADE_SLOWLY = 32  # of a class: to compile takes 60 µs and then saves 0.3 to 3 µs for each

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from contextlib import suppress
    from functools import lru_cache
    from typing import NamedTuple
else:
    try:
        from _collections import _tuplegetter as _getter
        from _functools import _lru_cache_wrapper
    except ImportError:  # another Python than CPython
        from functools import lru_cache
        from operator import itemgetter

        def _getter(index, doc):
            return property(itemgetter(index), doc=doc)

    else:

        def lru_cache(maxsize):
            """Keep so many results of a function, those that were asked for last."""
            return lambda fn: _lru_cache_wrapper(fn, maxsize, False, _CacheInfo)

    class _Fields(type):
        """Makes the annotated names of a class, in their order, the fields of a tuple."""

        def __new__(cls, name, bases, body):
            if bases[0].__bases__ == (tuple,):  # below that it is a class like any other
                # With `from __future__ import annotations` they are here, in every version.
                fields = tuple(body.get("__annotations__", ()))
                body["_field_defaults"] = {f: body.pop(f) for f in fields if f in body}
                body["_fields"] = body["__match_args__"] = fields
                for index, field in enumerate(fields):
                    body[field] = _getter(index, None)
                body["__slots__"] = ()
            return super().__new__(cls, name, bases, body)

    class NamedTuple(tuple, metaclass=_Fields):
        __slots__ = ()

        def __new__(cls, /, *values, **named):
            _made[cls] = made = _made.get(cls, 0) + 1
            if made >= MADE_SLOWLY:
                cls.__new__ = staticmethod(_compiled(cls))
            if named or len(values) != len(cls._fields):
                values = cls._complete(values, named)
            return tuple.__new__(cls, values)

        @classmethod
        def _complete(cls, values, named):
            """Return the values of all fields."""
            fields, defaults = cls._fields, cls._field_defaults
            try:
                rest = [
                    named.pop(field) if field in named else defaults[field]
                    for field in fields[len(values) :]
                ]
            except KeyError as missing:
                raise TypeError(f"{cls.__name__} needs {missing}") from None
            if named or len(values) > len(fields):
                raise TypeError(f"{cls.__name__} takes ({', '.join(fields)}), once each")
            return (*values, *rest)

        @classmethod
        def _make(cls, values):
            made = tuple.__new__(cls, values)
            if len(made) != len(cls._fields):
                raise TypeError(f"{cls.__name__} has {len(cls._fields)} fields, not {len(made)}")
            return made

        def _replace(self, /, **named):
            made = self._make(map(named.pop, self._fields, self))
            if named:
                raise ValueError(f"{type(self).__name__} has no field {', '.join(named)}")
            return made

        def _asdict(self):
            return dict(zip(self._fields, self, strict=True))

        def __repr__(self):
            fields = [f"{name}={value!r}" for name, value in self._asdict().items()]
            return f"{type(self).__name__}({', '.join(fields)})"

        def __getnewargs__(self):
            return tuple(self)

    _made = {}  # how many of a class, until its constructor is compiled

    def _compiled(cls):
        """Return the constructor that `collections.namedtuple` compiles for every class."""
        fields = "".join(f"{field}, " for field in cls._fields)  # none at all is a tuple, too
        # No field begins with an underscore, so none hides these.
        new = eval(f"lambda _cls, {fields}: _new(_cls, ({fields}))", {"_new": tuple.__new__})
        new.__defaults__ = tuple(cls._field_defaults.values())
        return new

    class _CacheInfo(NamedTuple):
        hits: int
        misses: int
        maxsize: int
        currsize: int

    class suppress:
        def __init__(self, *kinds):
            self._kinds = kinds

        def __enter__(self):
            pass

        def __exit__(self, kind, error, trace):
            return kind is not None and issubclass(kind, self._kinds)


def median(values: Sequence[float]) -> float:
    """Return the middle of values, of which there has to be one; `statistics` without decimals."""
    ordered = sorted(values)
    middle = len(ordered) // 2
    if len(ordered) % 2:
        return ordered[middle]
    return (ordered[middle - 1] + ordered[middle]) / 2


__all__ = ["NamedTuple", "lru_cache", "median", "suppress"]
