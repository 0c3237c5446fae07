"""Promise 1, broken in every way one can think of."""

from __future__ import annotations

import hashlib

import pytest

from apkiln.formats.apk.attributes import attributes_digest
from apkiln.formats.archive.entry import ContentEntry, Entry, EntryType
from apkiln.image.audit.claims import Claim, directory_owner
from apkiln.image.audit.expectation import Expectation
from apkiln.image.audit.findings import Violation
from apkiln.image.audit.layered_tree import LayeredTree
from apkiln.image.audit.ownership import Account, account


def sha1(content: bytes) -> bytes:
    return hashlib.sha1(content).digest()


def sha256(content: bytes) -> bytes:
    return hashlib.sha256(content).digest()


def file(path: str, content: bytes = b"x", **fields: object) -> ContentEntry:
    entry = Entry(path, EntryType.FILE, size=len(content))._replace(**fields)  # type: ignore[arg-type]
    return ContentEntry(entry, sha1(content), sha256(content))


def directory(path: str, mode: int = 0o755, uid: int = 0) -> ContentEntry:
    return ContentEntry(Entry(path, EntryType.DIRECTORY, mode, uid))


def symlink(path: str, target: str) -> ContentEntry:
    return ContentEntry(Entry(path, EntryType.SYMLINK, 0o777, target=target), sha1(target.encode()))


def claim(path: str, content: bytes = b"x", **fields: object) -> Claim:
    made = Claim(path, "pkg-1-r0", "pkg", "pkg", 0, False, 0o644, 0, 0, b"", sha1(content))
    return made._replace(**fields)  # type: ignore[arg-type]


def directory_claim(path: str, **fields: object) -> Claim:
    made = Claim(path, "pkg-1-r0", "pkg", "pkg", 0, True, 0o755, 0, 0)
    return made._replace(**fields)  # type: ignore[arg-type]


CLAIMS = (
    directory_claim("usr"),
    directory_claim("usr/bin"),
    claim("usr/bin/tool", b"tool", mode=0o4755, uid=1, gid=2),
    claim("usr/bin/link", b"tool", mode=0o777),
)
ENTRIES = (
    directory("usr"),
    directory("usr/bin"),
    file("usr/bin/tool", b"tool", mode=0o4755, uid=1, gid=2),
    symlink("usr/bin/link", "tool"),
    directory("etc"),
    file("etc/made", b"made"),
)
GENERATED = {
    "etc": Expectation("base-directories", EntryType.DIRECTORY, 0o755, 0, 0, xattrs=()),
    "etc/made": Expectation("some-rule", EntryType.FILE, 0o644, 0, 0, 4, sha256(b"made"), xattrs=()),
}


def run(
    entries: tuple[ContentEntry, ...] = ENTRIES,
    claims: tuple[Claim, ...] = CLAIMS,
    generated: dict[str, Expectation] | None = None,
    overrides: dict[str, Expectation] | None = None,
    overridden: dict[str, str] | None = None,
) -> Account:
    tree = LayeredTree()
    tree.apply(entries, 1)
    assert tree.violations == []
    return account(tree, claims, GENERATED if generated is None else generated, overrides or {}, overridden)


def broken(result: Account) -> list[tuple[str, str]]:
    return [(violation.rule, violation.path) for violation in result.violations]


def replaced(path: str, new: ContentEntry | None) -> tuple[ContentEntry, ...]:
    kept = [new if item.entry.path == path else item for item in ENTRIES]
    return tuple(item for item in kept if item is not None)


def test_a_tree_that_is_accounted_for_has_no_violation() -> None:
    result = run()
    assert result.violations == []
    assert (result.owned, result.generated) == (4, {"base-directories": 1, "some-rule": 1})


@pytest.mark.parametrize(
    ("path", "new", "rules"),
    [
        ("usr/bin/tool", file("usr/bin/tool", b"tool", mode=0o755, uid=1, gid=2), ["mode"]),
        ("usr/bin/tool", file("usr/bin/tool", b"tool", mode=0o4755, uid=1, gid=0), ["owner"]),
        ("usr/bin/tool", file("usr/bin/tool", b"evil", mode=0o4755, uid=1, gid=2), ["content"]),
        ("usr/bin/tool", file("usr/bin/tool", b"tool", mode=0o4755, uid=1, gid=2, xattrs=(("user.a", b"1"),)), ["attributes"]),
        ("usr/bin/tool", symlink("usr/bin/tool", "tool"), ["owner"]),
        ("usr/bin/tool", None, ["missing-path"]),
        ("usr/bin/link", symlink("usr/bin/link", "other"), ["content"]),
        ("usr/bin/link", directory("usr/bin/link"), ["type", "unowned-path"]),
        ("usr/bin", directory("usr/bin", 0o1777), ["mode"]),
        ("usr/bin", directory("usr/bin", uid=7), ["owner"]),
        ("etc/made", file("etc/made", b"evil"), ["content"]),
        ("etc/made", file("etc/made", b"longer"), ["content", "size"]),
        ("etc/made", file("etc/made", b"made", mode=0o666), ["mode"]),
        ("etc/made", symlink("etc/made", "x"), ["type"]),
        ("etc/made", None, ["missing-path"]),
        ("etc", directory("etc", 0o777), ["mode"]),
    ],
)
def test_every_difference_is_found(path: str, new: ContentEntry | None, rules: list[str]) -> None:
    assert sorted(broken(run(replaced(path, new)))) == [(rule, path) for rule in rules]


def test_a_stray_path_is_found() -> None:
    assert broken(run((*ENTRIES, file("etc/stray")))) == [("unowned-path", "etc/stray")]


def test_two_packages_may_not_own_one_file() -> None:
    other = claim("usr/bin/tool", b"tool", mode=0o4755, uid=1, gid=2, package="other-1-r0", name="other")
    assert broken(run(claims=(*CLAIMS, other))) == [("owned-twice", "usr/bin/tool")]


def test_a_path_is_owned_or_generated_not_both() -> None:
    generated = GENERATED | {"usr/bin/tool": Expectation("some-rule")}
    assert broken(run(generated=generated)) == [("owned-and-generated", "usr/bin/tool")]


def test_a_file_without_a_recorded_digest_proves_nothing() -> None:
    claims = tuple(item._replace(digest=b"") if item.path == "usr/bin/tool" else item for item in CLAIMS)
    assert broken(run(claims=claims)) == [("no-checksum", "usr/bin/tool")]


def test_truncated_sha256_digests_are_understood() -> None:
    digest = sha256(b"tool")[:20]
    changed = [item._replace(digest=digest, truncated_sha256=True) for item in CLAIMS if item.path == "usr/bin/tool"]
    claims = (*changed, *(item for item in CLAIMS if item.path != "usr/bin/tool"))
    assert run(claims=claims).violations == []


def test_attributes_are_compared_by_their_digest() -> None:
    xattrs = (("user.a", b"1"),)
    entries = replaced("usr/bin/tool", file("usr/bin/tool", b"tool", mode=0o4755, uid=1, gid=2, xattrs=xattrs))
    claims = tuple(item._replace(xattrs=attributes_digest(xattrs)) if item.path == "usr/bin/tool" else item for item in CLAIMS)
    assert run(entries, claims).violations == []
    assert broken(run(claims=claims)) == [("attributes", "usr/bin/tool")]


def test_an_override_states_the_final_form_of_a_packages_path() -> None:
    entries = replaced("usr/bin/tool", file("usr/bin/tool", b"changed", mode=0o600))
    stated = Expectation("paths-directive", EntryType.FILE, 0o600, 0, 0, 7, sha256(b"changed"), xattrs=())
    assert broken(run(entries, overrides={"usr/bin/tool": stated}, overridden={"usr/bin/tool": "pkg"})) == []
    assert broken(run(entries, overrides={"usr/bin/tool": stated._replace(sha256=sha256(b"x"))})) == [("content", "usr/bin/tool")]
    result = run(entries, overrides={"usr/bin/tool": stated}, overridden={"usr/bin/tool": "other"})
    assert broken(result) == [("override-without-package", "usr/bin/tool")]


def test_an_override_cannot_excuse_a_stray_path() -> None:
    result = run((*ENTRIES, file("etc/stray")), overrides={"etc/stray": Expectation("paths-directive")})
    assert sorted(broken(result)) == [("override-without-package", "etc/stray"), ("unowned-path", "etc/stray")]


def test_claims_through_a_directory_symlink_hold_for_what_it_leads_to() -> None:
    entries = (directory("usr"), directory("usr/lib"), file("usr/lib/x"), symlink("lib", "usr/lib"))
    base = (directory_claim("usr"), directory_claim("usr/lib"), claim("lib", b"usr/lib"))
    merged = (*base, directory_claim("lib"), claim("lib/x"))
    assert run(entries, merged, {}).violations == []
    twice = (*merged, claim("usr/lib/x", package="other-1-r0", name="other"))
    assert broken(run(entries, twice, {})) == [("owned-twice", "usr/lib/x")]


@pytest.mark.parametrize(
    ("rows", "winner"),
    [
        ([("b", "x", 0), ("a", "x", 0)], "a"),
        ([("b", "b", 0), ("a", "x", 0)], "b"),
        ([("b", "b", 0), ("a", "x", 5)], "a"),
    ],
)
def test_the_owner_of_a_shared_directory(rows: list[tuple[str, str, int]], winner: str) -> None:
    claims = [directory_claim("usr", name=name, origin=origin, priority=priority) for name, origin, priority in rows]
    assert directory_owner(claims).name == winner
    assert directory_owner(claims[::-1]).name == winner


def test_the_owners_mode_of_a_shared_directory_counts() -> None:
    second = directory_claim("usr/bin", package="aaa-1-r0", name="aaa", origin="zzz", mode=0o700)
    assert run(claims=(*CLAIMS, second)).violations == []
    first = directory_claim("usr/bin", package="aaa-1-r0", name="aaa", origin="aaa", mode=0o700)
    assert run(claims=(*CLAIMS, first)).violations == [Violation("mode", "usr/bin", "0700", "0755", "aaa-1-r0")]
