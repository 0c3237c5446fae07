"""The database equals the tree."""

from __future__ import annotations

import hashlib
import io
import tarfile
from base64 import b64encode
from collections.abc import Iterable

from apkiln.formats.apk.contents import PackageContents, PackageInfo
from apkiln.formats.archive.entry import ContentEntry, Entry, EntryType
from apkiln.rootfs.database import installed_database, scripts_archive, triggers_text
from apkiln.rootfs.ownership import plan_tree
from apkiln.rootfs.package_files import PackageFiles

FILE, LINK, HARD, DIRECTORY = EntryType.FILE, EntryType.SYMLINK, EntryType.HARDLINK, EntryType.DIRECTORY
B = "Q1" + b64encode(hashlib.sha256(b"b").digest()[:20]).decode()
ABC = "Z:Q1qZk+NkcGgWq6PiVxeFDCbJzQ2J0="


def package(info: PackageInfo, *entries: Entry, scripts: Iterable[tuple[str, bytes]] = ()) -> PackageFiles:
    """Every file has the content `abc`."""
    listed = []
    for entry in entries:
        if entry.type is FILE:
            listed.append(ContentEntry(entry._replace(size=3), hashlib.sha1(b"abc").digest(), hashlib.sha256(b"abc").digest()))
        elif entry.type is LINK:
            listed.append(ContentEntry(entry, hashlib.sha1(entry.target.encode()).digest()))
        else:
            listed.append(ContentEntry(entry))
    digest = hashlib.sha256(info.name.encode()).digest()
    return PackageFiles.of(PackageContents(info, digest[:20], digest, 9, (), tuple(scripts), (), tuple(listed)))


def info(name: str, **fields: object) -> PackageInfo:
    return PackageInfo(name, "1-r0", "x86_64", **fields)  # type: ignore[arg-type]


def lines_of(text: bytes, name: str) -> list[str]:
    """The lines of a record from its first directory on."""
    block = next(block for block in text.decode().split("\n\n") if f"\nP:{name}\n" in block)
    lines = block.split("\n")
    return lines[next(index for index, line in enumerate(lines) if line.startswith("F:")) :]


ETC = Entry("etc", DIRECTORY, 0o755)


def test_a_whole_record() -> None:
    full = info(
        "b", description="words", url="u", license="MIT", origin="o", maintainer="m", commit="c", build_date=5,
        installed_size=6, provider_priority=7, depends=("x", "y>1"), provides=("z=1",), install_if=("q",), replaces=("r<2", "s"),
        replaces_priority=8,
    )  # fmt: skip
    text = installed_database(plan_tree((package(full, ETC, Entry("etc/x", FILE)),)), tags={"b": "edge"})
    assert text.decode() == (
        f"C:{B}\nP:b\nV:1-r0\nA:x86_64\nS:9\nI:6\nT:words\nU:u\nL:MIT\no:o\nm:m\nt:5\nc:c\nk:7\n"
        "D:x y>1\np:z=1\ni:q\nr:r<2 s\nq:8\ns:edge\nF:etc\nR:x\n" + ABC + "\n\n"
    )


def test_empty_fields_are_written_as_apk_does() -> None:
    assert installed_database(plan_tree((package(info("b")),))).decode() == (
        f"C:{B}\nP:b\nV:1-r0\nA:x86_64\nS:9\nI:0\nT:\nU:\nL:\n\n"
    )


def test_packages_are_sorted_without_regard_to_case() -> None:
    plan = plan_tree([package(info(name)) for name in ("b", "B", "a", "C")])
    names = [line[2:] for line in installed_database(plan).decode().split("\n") if line.startswith("P:")]
    assert names == ["a", "B", "b", "C"]


def test_modes_owners_and_empty_directories() -> None:
    shipped = package(
        info("a"),
        Entry("z", DIRECTORY, 0o1777, 1, 2),
        Entry("a", DIRECTORY, 0o755, xattrs=(("user.dir", b"yes"),)),
        Entry("a/f", FILE, 0o6711, 1001, 1002),
        Entry("a/g", HARD, 0o644, target="a/f"),
        Entry("a/x", FILE, 0o644, xattrs=(("user.colour", b"blue"), ("user.a", b"1"))),
        Entry("a/zero", FILE, 0),
        Entry("a-", FILE, 0o644),
    )
    assert lines_of(installed_database(plan_tree((shipped,))), "a") == [
        "F:", "R:a-", ABC,
        "F:a", "M:0:0:755:Q1Jq6QA8jr+2lLBHZH9ZIwi2FUDwI=",
        "R:f", "a:1001:1002:6711", ABC, "R:g", "a:1001:1002:6711", ABC,
        "R:x", "a:0:0:644:Q1Xo954Ft9uB5RvdE1HL4dzzG+mSA=", ABC, "R:zero", "a:0:0:0", ABC,
        "F:z", "M:1:2:1777",
    ]  # fmt: skip


def test_a_lost_path_is_omitted_and_its_directory_stays() -> None:
    loser = package(info("a"), ETC, Entry("etc/x", FILE), Entry("etc/y", FILE))
    winner = package(info("b", replaces=("a",)), ETC, Entry("etc/x", FILE, 0o600))
    text = installed_database(plan_tree((loser, winner)))
    assert lines_of(text, "a") == ["F:etc", "R:y", ABC]
    assert lines_of(text, "b") == ["F:etc", "R:x", "a:0:0:600", ABC]


def test_a_shared_directory_is_the_same_in_every_record() -> None:
    text = installed_database(
        plan_tree((package(info("b"), Entry("srv", DIRECTORY, 0o700)), package(info("a"), Entry("srv", DIRECTORY, 0o711))))
    )
    assert lines_of(text, "a") == lines_of(text, "b") == ["F:srv", "M:0:0:711"]


def test_moved_paths_stand_where_they_are() -> None:
    layout = package(
        info("l"), Entry("usr", DIRECTORY, 0o755), Entry("usr/bin", DIRECTORY, 0o755), Entry("bin", LINK, 0o777, target="usr/bin")
    )
    tool = package(info("t"), Entry("bin", DIRECTORY, 0o755), Entry("bin/t", FILE, 0o755), Entry("bin/u", HARD, target="bin/t"))
    text = installed_database(plan_tree((layout, tool)))
    assert lines_of(text, "t") == ["F:usr/bin", "R:t", "a:0:0:755", ABC, "R:u", "a:0:0:755", ABC]


class TestChanges:
    shipped = package(
        info("a"), ETC, Entry("etc/d", DIRECTORY, 0o755), Entry("etc/l", LINK, 0o777, target="x"), Entry("etc/x", FILE),
        Entry("etc/y", HARD, target="etc/x"),
    )  # fmt: skip
    plain = ("F:etc", "R:l", "a:0:0:777", "Z:Q1EfatjsUqKYSrqv18O1FlA3hcIHI=", "R:x", ABC, "R:y", ABC, "F:etc/d")

    def lines(self, **changes: Entry | None) -> list[str]:
        named = {key.replace("_", "/"): value for key, value in changes.items()}
        return lines_of(installed_database(plan_tree((self.shipped,)), named), "a")

    def test_none(self) -> None:
        assert self.lines() == list(self.plain)

    def test_metadata_is_the_new_one_for_every_name_of_the_file(self) -> None:
        found = self.lines(etc_x=Entry("etc/x", FILE, 0o600, 7), etc_y=Entry("etc/y", HARD, target="etc/x"))
        assert found[4:-1] == ["R:x", "a:7:0:600", ABC, "R:y", "a:7:0:600", ABC]

    def test_content_keeps_the_packages_checksum(self) -> None:
        assert self.lines(etc_x=Entry("etc/x", FILE, 0o644, size=99)) == list(self.plain)

    def test_a_link_that_became_a_file_is_still_the_file(self) -> None:
        assert self.lines(etc_y=Entry("etc/y", FILE, 0o600))[-4:-1] == ["R:y", "a:0:0:600", ABC]

    def test_what_is_gone_or_of_another_type_is_in_no_record(self) -> None:
        assert "R:x" not in self.lines(etc_x=None)
        assert "R:x" not in self.lines(etc_x=Entry("etc/x", LINK, target="y"))
        assert "R:l" not in self.lines(etc_l=Entry("etc/l", LINK, 0o777, target="other"))
        assert "R:l" in self.lines(etc_l=Entry("etc/l", LINK, 0o777, 5, target="x"))
        assert "F:etc/d" not in self.lines(etc_d=None)
        assert "F:etc/d" not in self.lines(etc_d=Entry("etc/d", LINK, target="x"))

    def test_directories(self) -> None:
        assert self.lines(etc_d=Entry("etc/d", DIRECTORY, 0o2770, 0, 9))[-2:] == ["F:etc/d", "M:0:9:2770"]


def test_scripts_and_triggers_in_apks_form() -> None:
    first = package(
        info("b", build_date=77, triggers=("/usr/*", "+/etc")), scripts=(("pre-install", b"#!/bin/sh\n"), ("trigger", b"t"))
    )
    second = package(info("a"), scripts=(("post-install", b""),))
    plan = plan_tree((first, second))
    identity = hashlib.sha256(b"b").digest()[:20]
    with tarfile.open(fileobj=io.BytesIO(scripts_archive(plan))) as archive:
        found = [(member.name, member.mode, member.mtime, member.size) for member in archive]
    assert found == [
        (f"a-1-r0.X1{hashlib.sha256(b'a').digest()[:20].hex()}.post-install", 0o755, 0, 0),
        (f"b-1-r0.X1{identity.hex()}.pre-install", 0o755, 77, 10),
        (f"b-1-r0.X1{identity.hex()}.trigger", 0o755, 77, 1),
    ]
    assert triggers_text(plan) == f"{B} /usr/* +/etc\n".encode()
    assert scripts_archive(plan_tree(())) == bytes(1024)
    assert triggers_text(plan_tree(())) == installed_database(plan_tree(())) == b""
