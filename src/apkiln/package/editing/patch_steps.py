"""The `patch` steps of a definition replaced by one `git-am` step (spec package.md §15.5)."""

from __future__ import annotations

from collections.abc import Sequence

from apkiln.core.errors import ConfigurationError, FaultCollector
from apkiln.formats.yamlnode.compose import compose
from apkiln.formats.yamlnode.editing import block_items, find
from apkiln.formats.yamlnode.node import Node, Scalar
from apkiln.formats.yamlnode.node import Sequence as SequenceNode

_PATCHES = ("patch", "git-am")


def with_patches(content: bytes, source: str, names: Sequence[str]) -> bytes:
    """The text with one `git-am` step of these patches in the place of the first `patch` or `git-am` step of the main pipeline,
    the others gone; where there is none, behind the last `git-checkout`.  Without names such steps only go.

    Raises ConfigurationError `cannot-edit`, `no-checkout` when there is no place for the step.
    """
    document = compose(content, source, FaultCollector.empty())
    listed = find(document.root, "pipeline")
    if not isinstance(listed, SequenceNode) or not listed.items:
        message = "the definition has no main pipeline"
        raise ConfigurationError(message, reason="no-checkout", origin=document.origin(document.root))
    spans = block_items(document, listed)
    patched = [number for number, item in enumerate(listed.items) if _uses(item) in _PATCHES]
    checkouts = [number for number, item in enumerate(listed.items) if _uses(item) == "git-checkout"]
    if not patched and not checkouts:
        message = "the main pipeline has no `git-checkout` step that patches could follow"
        raise ConfigurationError(message, reason="no-checkout", origin=document.origin(listed))
    lines = document.text.splitlines(keepends=True)
    start = spans[patched[0]][0] if patched else spans[checkouts[-1]][1]
    indent = " " * (len(lines[spans[0][0]]) - len(lines[spans[0][0]].lstrip(" ")))
    gone = {line for number in patched for line in range(*_own_lines(spans[number], lines))}
    new = _step(indent, names) if names else ""
    kept = [line for number, line in enumerate(lines[:start]) if number not in gone]
    if new and kept and not kept[-1].endswith("\n"):
        kept.append("\n")
    kept += [new, *(line for number, line in enumerate(lines[start:], start) if number not in gone)]
    return "".join(kept).encode()


def _own_lines(span: tuple[int, int], lines: list[str]) -> tuple[int, int]:
    """Without the blank lines and comments at the end, which belong to the next step."""
    start, end = span
    while end > start + 1 and (not lines[end - 1].strip() or lines[end - 1].lstrip().startswith("#")):
        end -= 1
    return start, end


def _uses(node: Node) -> str:
    found = find(node, "uses")
    return found.text if isinstance(found, Scalar) else ""


def _step(indent: str, names: Sequence[str]) -> str:
    lines = [f"{indent}- uses: git-am", f"{indent}  with:", f"{indent}    patches: |"]
    return "".join(f"{line}\n" for line in (*lines, *(f"{indent}      {name}" for name in names)))
