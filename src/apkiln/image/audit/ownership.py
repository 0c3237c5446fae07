"""Promise 1 as one comparison: the tree, the claims of packages, the paths of rules; everything else is a violation."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from apkiln.formats.archive.entry import EntryType
from apkiln.image.audit.claims import Claim, directory_owner
from apkiln.image.audit.expectation import Expectation, compare
from apkiln.image.audit.findings import Violation
from apkiln.image.audit.layered_tree import Found, LayeredTree

_KEPT = frozenset({"answers", "by_package"})
"""What an override does not change: the package is named in violations."""


@dataclass(slots=True)
class Account:
    """The result of `account`."""

    violations: list[Violation] = field(default_factory=list)
    owned: int = 0
    generated: dict[str, int] = field(default_factory=dict)
    """Rule → number of paths it answers for, overrides included."""


def account(
    tree: LayeredTree,
    claims: Iterable[Claim],
    generated: Mapping[str, Expectation],
    overrides: Mapping[str, Expectation],
    overridden: Mapping[str, str] | None = None,
) -> Account:
    """Compare every path of the tree with the one that answers for it.

    `overridden`: package name per override, when it is stated.  Rules of violations: those of `compare`, and
    `unowned-path`, `owned-twice`, `owned-and-generated`, `missing-path`, `override-without-package`.
    Pure; some 5 µs a path.
    """
    files, directories, result = _by_real_path(tree, claims)
    for path, found in tree.found.items():
        shipped = files.get(path, ()) or (directories.get(path, ()) if found.entry.type is EntryType.DIRECTORY else ())
        if shipped:
            _owned(result, path, found, shipped, overrides.get(path))
            if path in generated:
                result.violations.append(Violation("owned-and-generated", path, shipped[0].package, generated[path].answers))
        elif path in generated:
            _generated(result, path, found, generated[path])
        else:
            result.violations.append(Violation("unowned-path", path, "a package or a rule", found.entry.type.name.lower()))
    _absent(result, tree, generated)
    _unfounded(result, overrides, overridden or {}, files, directories)
    return result


def _by_real_path(
    tree: LayeredTree, claims: Iterable[Claim]
) -> tuple[dict[str, tuple[Claim, ...]], dict[str, tuple[Claim, ...]], Account]:
    """Claims of files and of directories by the path they lead to; what leads nowhere is missing."""
    files: dict[str, tuple[Claim, ...]] = {}
    directories: dict[str, tuple[Claim, ...]] = {}
    result = Account()
    for claim in claims:
        if not claim.path:
            continue
        path = _real_path(tree, claim)
        found = tree.found.get(path)
        if found is None:
            result.violations.append(Violation("missing-path", claim.path, _kind(claim), "", claim.package))
        elif claim.is_directory and found.entry.type is not EntryType.DIRECTORY:
            actual = found.entry.type.name.lower()
            result.violations.append(Violation("type", claim.path, "directory", actual, claim.package))
        elif not claim.is_directory and found.entry.type is EntryType.DIRECTORY:
            result.violations.append(Violation("type", claim.path, "file", "directory", claim.package))
        else:
            table = directories if claim.is_directory else files
            table[path] = (*table.get(path, ()), claim)
    return files, directories, result


def _real_path(tree: LayeredTree, claim: Claim) -> str:
    """A directory may be a symlink in the tree (merged `/usr`): the claim then holds for what it leads to."""
    if claim.path in tree and not claim.is_directory:
        return claim.path
    if claim.is_directory:
        resolved = tree.resolve(claim.path)
        return claim.path if resolved is None else resolved
    return tree.real_path(claim.path)


def _owned(result: Account, path: str, found: Found, shipped: tuple[Claim, ...], override: Expectation | None) -> None:
    result.owned += 1
    owner = directory_owner(shipped) if shipped[0].is_directory else shipped[0]
    if not owner.is_directory and len({claim.package for claim in shipped}) > 1:
        names = " and ".join(sorted({claim.package for claim in shipped}))
        result.violations.append(Violation("owned-twice", path, "one package", names))
    wanted = _expectation(owner)
    if override is not None:
        result.generated[override.answers] = result.generated.get(override.answers, 0) + 1
        wanted = _changed(wanted, override)
    result.violations.extend(compare(path, wanted, found))


def _changed(wanted: Expectation, override: Expectation) -> Expectation:
    """The package's expectation where the override is silent; a stated content replaces the recorded digest."""
    stated = {name: value for name, value in override._asdict().items() if value is not None and name not in _KEPT}
    if override.type is not None:
        stated |= {"recorded": None}
    if override.xattrs is not None:
        stated |= {"attributes": None}
    return wanted._replace(**stated)


def _expectation(claim: Claim) -> Expectation:
    return Expectation(
        claim.package,
        type=EntryType.DIRECTORY if claim.is_directory else None,
        mode=claim.mode,
        uid=claim.uid,
        gid=claim.gid,
        recorded=None if claim.is_directory else claim.digest,
        truncated_sha256=claim.truncated_sha256,
        attributes=claim.xattrs,
        by_package=True,
    )


def _generated(result: Account, path: str, found: Found, wanted: Expectation) -> None:
    result.generated[wanted.answers] = result.generated.get(wanted.answers, 0) + 1
    result.violations.extend(compare(path, wanted, found))


def _absent(result: Account, tree: LayeredTree, generated: Mapping[str, Expectation]) -> None:
    for path, wanted in generated.items():
        if path not in tree:
            result.violations.append(Violation("missing-path", path, f"generated by `{wanted.answers}`", ""))


def _unfounded(
    result: Account,
    overrides: Mapping[str, Expectation],
    overridden: Mapping[str, str],
    files: Mapping[str, tuple[Claim, ...]],
    directories: Mapping[str, tuple[Claim, ...]],
) -> None:
    for path, wanted in overrides.items():
        names = {claim.name for claim in (*files.get(path, ()), *directories.get(path, ()))}
        stated = overridden.get(path)
        if not names or (stated is not None and stated not in names):
            found = ", ".join(sorted(names))
            what = f"a path of {stated or 'a package'}, changed by `{wanted.answers}`"
            result.violations.append(Violation("override-without-package", path, what, found))


def _kind(claim: Claim) -> str:
    return "directory" if claim.is_directory else "file"
