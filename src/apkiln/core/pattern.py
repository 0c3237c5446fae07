"""Regular expressions that are compiled when they are first asked, not when their module is loaded."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    import re
    from typing import Any, AnyStr

_ASKED = (
    "findall", "finditer", "flags", "fullmatch", "groupindex", "groups", "match", "pattern", "search", "split", "sub", "subn",
)  # fmt: skip


def pattern(text: AnyStr, flags: int = 0) -> re.Pattern[AnyStr]:
    """What `re.compile` gives, as far as anybody who calls its methods can tell.  A wrong expression is seen at first use."""
    waiting: Any = _Waiting(text, flags)
    return waiting  # type: ignore[no-any-return]


class _Compiled:
    """Holds the methods of a compiled expression, found as fast as its own."""


class _Waiting(_Compiled):
    """Becomes the other one when anything is asked of it; two threads at once do the same twice."""

    def __init__(self, text: Any, flags: int) -> None:
        self._text, self._flags = text, flags

    def __getattr__(self, name: str) -> Any:
        import re

        compiled = re.compile(self._text, self._flags)
        self.__dict__.update({asked: getattr(compiled, asked) for asked in _ASKED})
        self.__class__ = _Compiled  # type: ignore[assignment]
        return getattr(self, name)
