"""`NamedTuple`, whose classes cost next to nothing to make.

Type checkers see `typing.NamedTuple`, and instances behave and cost the same.  That one compiles a constructor and checks the
annotations of every class at each start of the program, 130 microseconds a class; here the constructor is compiled when
more than a few instances were made, and annotations are left alone.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any, NamedTuple

    __all__ = ["NamedTuple"]
else:
    from collections import _tuplegetter, namedtuple

    _FEW = 20
    """Instances that are made before it is worth compiling a constructor, which takes as long as they do."""

    class _Rows(tuple):
        """What all classes share."""

        __slots__ = ()
        # No annotations here: those who read them, as msgspec does, look for the fields of the class.
        _fields = ()
        _field_defaults = {}  # noqa: RUF012  (as typing.NamedTuple has it)

        @classmethod
        def _make(cls, items: Iterable[Any]) -> Any:
            """An instance from the fields in order."""
            made = tuple.__new__(cls, items)
            if len(made) != len(cls._fields):
                raise TypeError(f"Expected {len(cls._fields)} arguments, got {len(made)}")
            return made

        def _replace(self, /, **changes: Any) -> Any:
            """A copy with some fields changed.  Raises ValueError on unknown names."""
            made = self._make(map(changes.pop, self._fields, self))
            if changes:
                raise ValueError(f"Got unexpected field names: {list(changes)!r}")
            return made

        def _asdict(self) -> dict[str, Any]:
            """The fields by name, in order."""
            return dict(zip(self._fields, self, strict=True))

        def __repr__(self) -> str:
            shown = ", ".join([f"{name}={item!r}" for name, item in zip(self._fields, self, strict=True)])
            return f"{type(self).__name__}({shown})"

        def __getnewargs__(self) -> tuple[Any, ...]:
            return tuple(self)

    def _first(cls: type, /, *args: Any, **named: Any) -> Any:
        """`__new__` of a class until it is clear that it makes many, or something is left to say by its compiled one."""
        owner = next(base for base in cls.__mro__ if "_field_defaults" in base.__dict__)
        owner._made += 1
        if owner._made <= _FEW and not named:
            if missing := len(owner._fields) - len(args):
                args += tuple(owner._field_defaults.values())[-missing:] if 0 < missing <= len(owner._field_defaults) else ()
            if len(args) == len(owner._fields):
                return tuple.__new__(cls, args)
        owner.__new__ = namedtuple(owner.__name__, owner._fields, defaults=owner._field_defaults.values()).__new__
        return owner.__new__(cls, *args, **named)

    class _Class(type):
        """Makes a class of rows out of its annotations."""

        def __new__(mcs, name: str, bases: tuple[type, ...], body: dict[str, Any]) -> type:
            if bases == ():
                return type.__new__(mcs, name, bases, body)
            fields = tuple(body.get("__annotations__", ()))
            defaults = {field: body.pop(field) for field in fields if field in body}
            if [*defaults] != [*fields[len(fields) - len(defaults) :]]:
                raise TypeError(f"{name}: a field without a default follows one that has a default")
            refused = [field for field in fields if field.startswith("_")] + [part for part in body if part in _KEPT]
            if refused:
                raise ValueError(f"{name}: `{refused[0]}` cannot be a field or overwritten")
            for number, field in enumerate(fields):
                body[field] = _tuplegetter(number, "")
            body.setdefault("__match_args__", fields)
            body |= {"__slots__": (), "_fields": fields, "_field_defaults": defaults, "_made": 0, "__new__": _first}
            others = tuple(base for base in bases if base is not NamedTuple)
            return type(name, (_Rows, *others), body)

    _KEPT = frozenset(
        ("__new__", "__init__", "__slots__", "__getnewargs__", "_fields", "_field_defaults", "_make", "_replace", "_asdict")
    )

    class NamedTuple(metaclass=_Class):
        """The base that a class names; `typing.NamedTuple` in everything but how long it takes."""
