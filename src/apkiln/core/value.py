"""Frozen values whose classes cost next to nothing to make.

`@value` gives what `@dataclass(frozen=True, slots=True)` gives, and type checkers see the same.  A dataclass writes source
text for every method and compiles it, half a millisecond a class at every start of the program; here all classes share the
same methods.  Instances take about twice as long to make: records by the thousand are NamedTuples.
"""

from __future__ import annotations

from collections.abc import Callable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, NoReturn, TypeVar, dataclass_transform

    V = TypeVar("V")
else:

    def dataclass_transform(**_: object) -> Callable[[object], object]:
        """Says something to type checkers only."""
        return lambda function: function


class _Uncompared:
    """A default whose field takes no part in equality and hash."""

    __slots__ = ("default",)

    def __init__(self, default: Any) -> None:
        self.default = default


def uncompared(*, default: Any) -> Any:
    """The default of a field that takes no part in equality and hash."""
    return _Uncompared(default)


@dataclass_transform(frozen_default=True, field_specifiers=(uncompared,))
def value(cls: type[V]) -> type[V]:
    """The class with a constructor (fields in order, by position or name), equality, hash, `repr`, slots, and no way to change
    an instance.  Fields are the annotated names of the class itself; a default is shared, so it must be immutable."""
    fields = tuple(cls.__annotations__)
    body = {name: item for name, item in cls.__dict__.items() if name not in ("__dict__", "__weakref__")}
    given = {name: body.pop(name) for name in fields if name in body}
    apart = frozenset(name for name, item in given.items() if isinstance(item, _Uncompared))
    defaults = {name: item.default if isinstance(item, _Uncompared) else item for name, item in given.items()}
    body |= {name: method for name, method in _METHODS.items() if name not in body}
    body |= {"__slots__": fields, "__match_args__": fields, "_defaults": defaults}
    body["_compared"] = tuple(name for name in fields if name not in apart)
    metaclass: Any = type(cls)
    made = metaclass(cls.__name__, cls.__bases__, body)
    made._setters = tuple(made.__dict__[name].__set__ for name in fields)
    return made  # type: ignore[no-any-return]


def field_names(cls: type) -> tuple[str, ...]:
    """Names of the fields of a class made by `value`, or of a NamedTuple, in order."""
    names: tuple[str, ...] = cls.__match_args__  # type: ignore[attr-defined]
    return names


def replace(item: V, **changes: Any) -> V:
    """A copy of a value (also a NamedTuple) with some fields changed.  Raises TypeError on unknown names."""
    kept = {name: getattr(item, name) for name in field_names(type(item))}
    return type(item)(**(kept | changes))


def _init(self: Any, *args: Any, **named: Any) -> None:
    setters = self._setters
    if named or len(args) != len(setters):
        args = _completed(self, args, named)
    for put, item in zip(setters, args, strict=True):
        put(self, item)


def _completed(self: Any, args: tuple[Any, ...], named: dict[str, Any]) -> tuple[Any, ...]:
    """All fields in order, from what was given and the defaults."""
    names, defaults = self.__match_args__, self._defaults
    rest = names[len(args) :]
    if len(args) > len(names) or named.keys() - set(rest):
        raise TypeError(f"{type(self).__name__} takes {', '.join(names)}; given were {len(args)} of them and {', '.join(named)}")
    try:
        return (*args, *[named[name] if name in named else defaults[name] for name in rest])
    except KeyError as missing:
        raise TypeError(f"{type(self).__name__} needs {missing}") from None


def _equal(self: Any, other: Any) -> Any:
    if type(other) is not type(self):
        return NotImplemented
    return all(getattr(self, name) == getattr(other, name) for name in self._compared)


def _hash(self: Any) -> int:
    return hash(tuple([getattr(self, name) for name in self._compared]))


def _repr(self: Any) -> str:
    return f"{type(self).__qualname__}({', '.join([f'{name}={getattr(self, name)!r}' for name in self.__match_args__])})"


def _refuse(self: Any, name: str, *_: Any) -> NoReturn:
    raise AttributeError(f"{type(self).__name__} cannot be changed: {name}")


def _reduce(self: Any) -> tuple[Any, tuple[Any, ...]]:
    return type(self), tuple([getattr(self, name) for name in self.__match_args__])


_METHODS: dict[str, Callable[..., Any]] = {
    "__init__": _init,
    "__eq__": _equal,
    "__hash__": _hash,
    "__repr__": _repr,
    "__setattr__": _refuse,
    "__delattr__": _refuse,
    "__reduce__": _reduce,
}
