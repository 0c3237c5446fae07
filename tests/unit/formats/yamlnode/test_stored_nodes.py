"""Nodes as bytes and back."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from apkiln.core.errors import FaultCollector
from apkiln.formats.yamlnode import stored
from apkiln.formats.yamlnode.compose import compose
from apkiln.formats.yamlnode.node import Mapping, Node, Scalar, Sequence

NUMBERS = st.integers(1, 2000)
SCALARS = st.builds(Scalar, st.text(max_size=8), st.booleans(), NUMBERS, NUMBERS, NUMBERS)
NODES: st.SearchStrategy[Node] = st.recursive(
    SCALARS,
    lambda nodes: st.one_of(
        st.builds(Sequence, st.lists(nodes, max_size=3).map(tuple), NUMBERS, NUMBERS, NUMBERS),
        st.builds(Mapping, st.lists(st.tuples(SCALARS, nodes), max_size=3).map(tuple), NUMBERS, NUMBERS, NUMBERS),
    ),
    max_leaves=12,
)


@given(NODES)
def test_round_trip(node: Node) -> None:
    data = stored.encode(node)
    assert data is not None
    back = stored.decode(data)
    assert back == node
    assert repr(back) == repr(node)  # equality alone would take a Sequence for a Mapping


def test_a_document_of_every_kind() -> None:
    text = b"a: [1.10, 'x', {b: ~}]\nc: |\n  block\nd: &e {f: \"\\u00e9\"}\ng: *e\n"
    root = compose(text, "x.yaml", FaultCollector.empty()).root
    data = stored.encode(root)
    assert data is not None
    assert repr(stored.decode(data)) == repr(root)


def test_a_document_that_grows_by_aliases_is_not_kept() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{depth}: &a{depth} [{', '.join([f'*a{depth - 1}'] * 10)}]" for depth in range(1, 5)]
    assert stored.encode(compose("\n".join(lines).encode(), "x.yaml", FaultCollector.empty()).root) is None
