"""A new version in a definition: what has to be looked up, and the new text (spec package.md §15.4)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from apkiln.core.errors import ConfigurationError, FaultCollector
from apkiln.core.limits import DEFAULT_LIMITS, Limits
from apkiln.core.named_tuple import NamedTuple
from apkiln.core.origin import Origin
from apkiln.formats.apk.version import has_wide_number, is_valid
from apkiln.formats.yamlnode.compose import compose
from apkiln.formats.yamlnode.editing import Edit, edited, find
from apkiln.formats.yamlnode.node import Document, Node, Scalar, Sequence
from apkiln.formats.yamlnode.node import Mapping as MappingNode
from apkiln.package.compilation.resolving import MAXIMUM_ALIASED, LoadedDefinition, load
from apkiln.package.definition.model import PackageDefinition, Step
from apkiln.package.definition.note import Note

_VERSION = "${{package.version}}"
_BOM = b"\xef\xbb\xbf"
_ALGORITHMS = ("sha256", "sha512")
_COMMIT = re.compile(r"[0-9a-f]{40}([0-9a-f]{24})?")
_DIGESTS = tuple(f"expected-{name}" for name in _ALGORITHMS)


class Download(NamedTuple):
    """A file whose digests stand in the definition."""

    uri: str
    """For the new version."""
    algorithms: tuple[str, ...]
    """`sha256`, `sha512`: those that are present."""
    origin: Origin


class TaggedCheckout(NamedTuple):
    """A checkout whose commit stands in the definition and goes with the version."""

    repository: str
    tag: str
    """For the new version; empty when the step has a branch or nothing."""
    branch: str
    origin: Origin


class BumpPlan(NamedTuple):
    """A definition with its new version, and what is still missing."""

    version: str
    epoch: int
    text: bytes
    """With new version and epoch; digests and commits are those of the old version."""
    downloads: tuple[Download, ...]
    checkouts: tuple[TaggedCheckout, ...]
    notes: tuple[Note, ...]
    source: str
    all_sources: bool


class _Place(NamedTuple):
    """A step of the main pipeline, in the text and evaluated."""

    node: MappingNode
    step: Step


def plan_bump(
    content: bytes, source: str, version: str, *, all_sources: bool = False, limits: Limits = DEFAULT_LIMITS
) -> BumpPlan:
    """The version is set, quoted; the epoch is 0 for a new version and one more for the same.

    Variables are evaluated with the new version.  `all_sources`: steps of subpackages too.  Raises ConfigurationError
    `bad-version` (with the right spelling, where there is one), `cannot-edit`, and what `load` raises.
    """
    version = version.strip()
    check_version(version, source)
    document = _document(content, source, limits)
    old, epoch = (find(document.root, "package", key) for key in ("version", "epoch"))
    load(content, source, limits=limits)  # faults that are there already are told as such
    assert isinstance(old, Scalar), "checked by reading"
    number = int(epoch.text or "0") + 1 if isinstance(epoch, Scalar) and old.text == version else 0
    edits = [Edit(old, version, quoted=True)]
    edits += [Edit(epoch, str(number))] if isinstance(epoch, Scalar) and epoch.text else []
    text = _encoded(content, edited(document, edits))
    loaded = load(text, source, limits=limits)
    places = tuple(_places(_document(text, source, limits), loaded, all_sources))
    chosen = _version_checkouts(places, loaded.written)
    return BumpPlan(
        version=version,
        epoch=number,
        text=text,
        downloads=tuple(_download(place) for place in places if _has_digest(place)),
        checkouts=tuple(_checkout(place) for place in chosen if _commit_node(place) is not None),
        notes=tuple(_notes(places, old.text != version)),
        source=source,
        all_sources=all_sources,
    )


def bumped(plan: BumpPlan, digests: Mapping[str, Mapping[str, str]], commits: Mapping[Origin, str]) -> bytes:
    """The final text.  `digests`: URI → algorithm → hexadecimal, for every download of the plan; `commits`: by the place of the
    checkout, those that are to change."""
    document = _document(plan.text, plan.source, DEFAULT_LIMITS)
    loaded = load(plan.text, plan.source)
    places = tuple(_places(document, loaded, plan.all_sources))
    edits: list[Edit] = []
    for place in places:
        if _has_digest(place):
            download = _download(place)
            found = digests[download.uri]
            edits += [Edit(_given(place, f"expected-{name}"), found[name]) for name in download.algorithms]
        node = _commit_node(place)
        if node is not None and place.step.origin in commits:
            edits.append(Edit(node, commits[place.step.origin]))
    return _encoded(plan.text, edited(document, edits))


def check_version(version: str, source: str) -> None:
    """Raises ConfigurationError `bad-version` for what apk cannot read."""
    if is_valid(version) and not has_wide_number(version) and "-r" not in version:
        return
    guess = readable_version(version)
    hint = f"write `{guess}`" if guess else "apk versions look like `1.2.3`, `1.2.3a`, `1.2.3_rc1` or `1.2.3_p4`"
    message = f"`{version}` is no version that apk can read"
    raise ConfigurationError(message, reason="bad-version", origin=Origin(source), hint=hint)


def readable_version(text: str) -> str:
    """What is probably meant by a version in another spelling; empty when nothing comes to mind."""
    found = re.sub(r"^[^0-9]*?[vV_-]?(?=[0-9])", "", re.sub(r"-r[0-9]+$", "", text.strip()))
    found = re.sub(r"[-_.]?(alpha|beta|pre|rc)[-_.]?(?=[0-9]|$)", r"_\1", found, flags=re.IGNORECASE)
    found = re.sub(r"[-_.]?(patch|pl|post|p)[-_.]?(?=[0-9]+$)", "_p", found, flags=re.IGNORECASE)
    found = re.sub(r"[-_](?=[0-9])", ".", found.partition("+")[0]).lower()
    return found if found != text and is_valid(found) and not has_wide_number(found) else ""


def _document(content: bytes, source: str, limits: Limits) -> Document:
    return compose(content, source, FaultCollector.empty(), limits, maximum_aliased=MAXIMUM_ALIASED)


def _encoded(old: bytes, text: str) -> bytes:
    return (_BOM if old.startswith(_BOM) else b"") + text.encode()


def _places(document: Document, loaded: LoadedDefinition, all_sources: bool) -> Iterator[_Place]:
    definition = loaded.evaluated.definition
    yield from _walk(find(document.root, "pipeline"), definition.pipeline)
    if not all_sources:
        return
    listed = find(document.root, "subpackages")
    for node in listed.items if isinstance(listed, Sequence) else ():
        # A ranged subpackage stands for several; their steps share a text, so the first decides.
        origin = document.origin(node)
        same = next((item for item in definition.subpackages if item.origin == origin), None)
        if same is not None:
            yield from _walk(find(node, "pipeline"), same.pipeline)


def _walk(node: Node | None, steps: tuple[Step, ...]) -> Iterator[_Place]:
    for item, step in zip(node.items if isinstance(node, Sequence) else (), steps, strict=False):
        if isinstance(item, MappingNode):
            yield _Place(item, step)
            yield from _walk(find(item, "pipeline"), step.pipeline)


def _given(place: _Place, name: str) -> Scalar:
    node = find(place.node, "with", name)
    assert isinstance(node, Scalar), "looked at before"
    return node


def _written(place: _Place, name: str) -> str:
    """The text of an input as it is written; empty when it is not there."""
    node = find(place.node, "with", name)
    return node.text.strip() if isinstance(node, Scalar) and not node.is_null else ""


def _evaluated(place: _Place, name: str) -> str:
    found = dict(place.step.inputs_given).get(name)
    return found.text.strip() if found is not None else ""


def _has_digest(place: _Place) -> bool:
    return place.step.uses.text == "fetch" and any(_is_fixed(_written(place, name)) for name in _DIGESTS)


def _is_fixed(text: str) -> bool:
    return bool(text) and "${{" not in text


def _download(place: _Place) -> Download:
    present = tuple(name for name in _ALGORITHMS if _is_fixed(_written(place, f"expected-{name}")))
    return Download(_evaluated(place, "uri"), present, place.step.origin)


def _checkout(place: _Place) -> TaggedCheckout:
    repository, tag, branch = (_evaluated(place, name) for name in ("repository", "tag", "branch"))
    return TaggedCheckout(repository, tag, branch, place.step.origin)


def _commit_node(place: _Place) -> Scalar | None:
    """`expected-commit`, when it is there and fixed."""
    node = find(place.node, "with", "expected-commit")
    return node if isinstance(node, Scalar) and _is_fixed(_written(place, "expected-commit")) else None


def _version_checkouts(places: tuple[_Place, ...], written: PackageDefinition) -> tuple[_Place, ...]:
    """The checkouts whose commit goes with the version: a single one always, of several those whose tag does."""
    found = tuple(place for place in places if place.step.uses.text == "git-checkout")
    if len(found) == 1:
        return found
    return tuple(place for place in found if _goes_with_version(_written(place, "tag"), written))


def _goes_with_version(tag: str, written: PackageDefinition) -> bool:
    """Whether a tag names the version, directly or through variables; no tag counts as such."""
    if not tag or _names_version(tag):
        return True
    values = [(name, value.text) for name, value in written.variables]
    values += [(transform.to.text, transform.source.text) for transform in written.var_transforms]
    known: set[str] = set()
    while more := {name for name, value in values if _names_version(value) or known & _variables(value)} - known:
        known |= more
    return bool(known & _variables(tag))


def _variables(text: str) -> set[str]:
    """Names of the variables that a text refers to."""
    return set(re.findall(r"\$\{\{\s*vars\.([^}\s]+)\s*\}\}", text))


def _names_version(text: str) -> bool:
    return _VERSION in re.sub(r"\s", "", text) or "${{package.full-version}}" in re.sub(r"\s", "", text)


def _notes(places: tuple[_Place, ...], changed: bool) -> Iterator[Note]:
    for place in places:
        picks = [line.partition("#")[0].strip() for line in _written(place, "cherry-picks").splitlines()]
        if changed and any(picks):
            listed = ", ".join(f"`{pick}`" for pick in picks if pick)
            yield Note(f"look whether the new version has the commits that are applied: {listed}", place.step.origin)


def commit_remark(commit: str) -> str:
    """What is odd about a commit that was named; empty when nothing is."""
    return "" if _COMMIT.fullmatch(commit) else f"`{commit}` is no commit: a build will refuse it"
