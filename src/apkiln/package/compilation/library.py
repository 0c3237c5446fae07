"""Named pipelines by name: the user's directories first, then the ones that come with the product (spec package.md §4.7)."""

from __future__ import annotations

from collections.abc import Callable

from apkiln.core.errors import ConfigurationError
from apkiln.core.named_tuple import NamedTuple
from apkiln.core.origin import Origin
from apkiln.formats.yamlnode.nearest import nearest
from apkiln.package.compilation.pipeline_file import PipelineFile, read_pipeline_file


class Shelf(NamedTuple):
    """One directory of pipelines."""

    name: str
    """How messages call it."""
    read: Callable[[str], bytes | None]
    """The content of a relative path below the directory, links out of it refused; None when there is no such file."""
    names: Callable[[], tuple[str, ...]]
    """Names of all pipelines in it, for a hint."""


class PipelineLibrary:
    """Finds pipelines and keeps those that were read: one object may serve many definitions."""

    def __init__(self, shelves: tuple[Shelf, ...], *, strict: bool = False) -> None:
        self.shelves = shelves
        self._strict = strict
        self._known: dict[str, PipelineFile | None] = {}

    def find(self, name: str, asked: Origin) -> PipelineFile:
        """Raises ConfigurationError: `bad-pipeline-name` for one that is absolute or climbs, `unknown-pipeline`."""
        parts = name.split("/")
        if name.startswith("/") or "\0" in name or "\\" in name or any(part in ("", ".", "..") for part in parts):
            raise ConfigurationError(f"`{name}` is no name of a pipeline", reason="bad-pipeline-name", origin=asked)
        if name not in self._known:
            self._known[name] = self._read(name)
        found = self._known[name]
        if found is None:
            raise self._unknown(name, asked)
        return found

    def _read(self, name: str) -> PipelineFile | None:
        for shelf in self.shelves:
            content = shelf.read(f"{name}.yaml")
            if content is not None:
                return read_pipeline_file(name, f"{shelf.name}/{name}.yaml", content, strict=self._strict)
        return None

    def _unknown(self, name: str, asked: Origin) -> ConfigurationError:
        known = sorted({other for shelf in self.shelves for other in shelf.names()})
        guess = nearest(name, known)
        looked = "looked in " + ", ".join(f"`{shelf.name}`" for shelf in self.shelves)
        hint = f"did you mean `{guess}`?" if guess else looked
        return ConfigurationError(f"there is no pipeline `{name}`", reason="unknown-pipeline", origin=asked, hint=hint)
