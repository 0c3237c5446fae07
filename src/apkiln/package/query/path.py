"""One value of a document by its path: `package.name`, `subpackages[0].name`."""

from __future__ import annotations

import re
from typing import Any

from apkiln.core.errors import UsageError
from apkiln.formats.yamlnode.nearest import nearest

_PART = re.compile(r"\.?([^.\[\]]+)|\[(\d{1,9})\]")


def find(document: Any, path: str) -> Any:
    """Raises UsageError: `bad-path` for text that is no path, `no-value` for one that leads nowhere."""
    position, value = 0, document
    while position < len(path):
        found = _PART.match(path, position)
        if found is None:
            raise UsageError(f"`{path}` is no path", reason="bad-path", hint="write `package.name` or `subpackages[0].name`")
        value = _below(value, found[1], found[2], path[: found.end()])
        position = found.end()
    return value


def _below(value: Any, name: str | None, number: str | None, path: str) -> Any:
    if name is not None and isinstance(value, dict) and name in value:
        return value[name]
    if number is not None and isinstance(value, list) and int(number) < len(value):
        return value[int(number)]
    guess = nearest(name, value) if name is not None and isinstance(value, dict) else ""
    hint = f"did you mean `{guess}`?" if guess else ""
    raise UsageError(f"the definition has no `{path}`", reason="no-value", hint=hint)
