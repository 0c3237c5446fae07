"""What a definition's user needs to see of a request that cannot be satisfied (the line, similar names, where was looked) and
of a repository that nobody trusts (the key, where to name it)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from apkiln.acquire.indexes import LoadedIndex
from apkiln.core.arch import Arch
from apkiln.core.errors import FaultGroup, UnsatisfiableError, VerificationError
from apkiln.core.secret import redact_url
from apkiln.image.configuration.model import ImageConfiguration, PackageRequest

TYPE_CHECKING = False
if TYPE_CHECKING:
    from apkiln.solver.explanation import Unsatisfiable

Indexes = Sequence[tuple[Arch, Sequence[LoadedIndex]]]


@contextmanager
def located_refusals(configuration: ImageConfiguration, indexes: Indexes) -> Iterator[None]:
    """Complete an `Unsatisfiable` that passes through.

    Its origin becomes the entry of `contents.packages` it is about, where one is; its details gain the repositories
    that were searched.  Costs nothing unless something is refused.
    """
    try:
        yield
    except UnsatisfiableError as error:
        if error.reason == "unsatisfiable" and hasattr(error, "explanation"):
            _complete(error, configuration, indexes)  # type: ignore[arg-type]
        raise


@contextmanager
def located_distrust() -> Iterator[None]:
    """Complete the `signature-unknown-key` faults that pass through: trust follows keys that the definition names, never the
    host a repository is fetched from, so the way out is always the same.  Costs nothing unless something is refused."""
    try:
        yield
    except (FaultGroup, VerificationError) as error:
        for fault in error.faults if isinstance(error, FaultGroup) else (error,):
            if fault.reason == "signature-unknown-key":
                fault.details = (*fault.details, fault.hint)
                fault.hint = (
                    "get the file of that key from whom you trust and name it in `contents.keyring`; no host has built-in keys"
                )
        raise


def _complete(error: Unsatisfiable, configuration: ImageConfiguration, indexes: Indexes) -> None:
    items = {str(item) for item in error.explanation.conflict}
    entry = next((entry for entry in configuration.contents.packages if _is_among(entry, items)), None)
    if entry is not None:
        error.located(entry.origin)
    loaded = [index for _, found in indexes for index in found]
    searched = dict.fromkeys(f"{redact_url(index.repository.url)} ({index.arch})" for index in loaded)
    error.details = (*error.details, f"searched: {', '.join(searched) or 'no repository'}")


def _is_among(entry: PackageRequest, items: set[str]) -> bool:
    from apkiln.formats.apk.dependency import parse_dependency

    return str(parse_dependency(entry.text)) in items
