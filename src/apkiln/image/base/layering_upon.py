"""What a build needs of a base image: the tree under the rules, the lower layers, the account of what it left."""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Sequence
from itertools import accumulate

from apkiln.image.base.based_tree import BasedTree
from apkiln.image.base.opening import Base
from apkiln.image.base.planning import plan_upon
from apkiln.image.documents import Below, BuiltLayer
from apkiln.image.generated.manifest import BaseAccount
from apkiln.image.layer_making import Lower
from apkiln.image.planned_tree import PlannedTree
from apkiln.rootfs.segments import Segment, content_positions
from apkiln.rootfs.tree_plan import OwnershipPolicy
from apkiln.system.store import Store


def tree_upon(base: Base, segments: Sequence[Segment], policy: OwnershipPolicy, store: Store) -> BasedTree:
    """The planned tree of new packages over a base.  Raises what `plan_tree` raises."""
    planned = plan_upon(base.contents, [segment.files for segment in segments], policy)
    return BasedTree(store, base.stored, base.contents, planned, segments)


def lower_part(base: Base, store: Store) -> Lower:
    """The layers and packages of the base, as they are."""
    stored, packages = base.stored, base.contents.packages
    segments = tuple(Segment(files, stored.tree.data, stored.tree.key) for files in packages)
    layers = tuple(BuiltLayer(layer, ()) for layer in stored.layers)
    below = Below(stored.name, stored.digest, stored.configuration)
    return Lower(layers, segments, _places(base, store), below, base.contents.notices)


def _places(base: Base, store: Store) -> tuple[int, ...]:
    """For each package the layer that holds most of its files, the lowest of equals."""
    ends = tuple(accumulate(layer.recipe.raw_size for layer in base.stored.layers))
    numbers = {
        item.entry.path: bisect_right(ends, place.content)
        for item, place in content_positions(store, base.stored.tree)
        if item.entry.size
    }
    counts = [Counter(numbers[path] for path in files.paths if path in numbers) for files in base.contents.packages]
    return tuple(min(count, key=lambda number: (-count[number], number), default=0) for count in counts)


def account_of(base: Base, tree: PlannedTree) -> BaseAccount:
    """What the accounting of the new image says of the base."""
    assert isinstance(tree, BasedTree), "a tree upon a base"
    changed = tuple((item.path, item.package) for item in base.contents.changed)
    layers = tuple(str(layer.digests.diff_id) for layer in base.stored.layers)
    return BaseAccount(tuple(tree.strays()), changed, layers)
