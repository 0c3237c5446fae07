"""Subpackages written once and meant once per item (spec package.md §4.5)."""

from __future__ import annotations

from collections.abc import Iterator

from apkiln.core.errors import ConfigurationError
from apkiln.core.named_tuple import NamedTuple
from apkiln.formats.yamlnode.reader import Text
from apkiln.package.definition.model import NO_VERBATIM, Data, PackageDefinition, Subpackage
from apkiln.package.evaluation.references import Substitution

MAXIMUM_SUBPACKAGES = 10_000
"""Subpackages of one definition after expansion."""


class RangedSubpackage(NamedTuple):
    """A subpackage and the item it stands for."""

    subpackage: Subpackage
    item: tuple[str, Text] | None
    """Key and value; None outside ranges."""


def expanded(definition: PackageDefinition, substitution: Substitution) -> Iterator[RangedSubpackage]:
    """One subpackage per item, items sorted by key, otherwise in file order.  Faults: `undefined-range`; raises
    ConfigurationError `too-many-subpackages`.
    """
    blocks = {block.name: block for block in definition.data}
    count = 0
    for subpackage in definition.subpackages:
        for ranged in _items(subpackage, blocks, substitution):
            count += 1
            if count > MAXIMUM_SUBPACKAGES:
                message = f"ranges make more than {MAXIMUM_SUBPACKAGES} subpackages"
                raise ConfigurationError(message, reason="too-many-subpackages", origin=subpackage.origin)
            yield ranged


def _items(subpackage: Subpackage, blocks: dict[str, Data], substitution: Substitution) -> Iterator[RangedSubpackage]:
    name, origin = subpackage.range
    if not name:
        yield RangedSubpackage(subpackage, None)
    elif name not in blocks:
        known = ", ".join(f"`{block}`" for block in sorted(blocks)) or "none"
        message = f"subpackage `{subpackage.name.text}`: there is no data block `{name}`"
        substitution.fault(message, "undefined-range", origin, "", f"known: {known}")
    else:
        for item in blocks[name].items:
            yield RangedSubpackage(subpackage._replace(range=NO_VERBATIM), item)
