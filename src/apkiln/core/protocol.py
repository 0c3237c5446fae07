"""`Protocol` for type checkers; when the program runs, a plain class that costs nothing to load or to inherit from."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Protocol as Protocol
else:

    class Protocol:
        """What describes an object by its methods names this as its base; nothing is asked of it at run time."""

        __slots__ = ()

        def __class_getitem__(cls, parameters: object) -> type:
            return cls
