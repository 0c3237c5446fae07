"""The database of real packages, compared with what apk-tools wrote for the same packages (recorded data)."""

from __future__ import annotations

import json
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from apkiln.core.errors import ApkilnError
from apkiln.formats.deflate.codec import canonical_codec
from apkiln.rootfs.database import installed_database
from apkiln.rootfs.ownership import plan_tree
from apkiln.rootfs.package_files import PackageFiles
from apkiln.rootfs.segments import load_segment, make_segment
from apkiln.system.memory_store import MemoryStore

RUNS = Path(__file__).resolve().parents[3].parent / "shared" / "conformance" / "apko-runs"
ON_PURPOSE = {
    "same-content": "apk-tools refuses equal files of two packages",
    "same-content-locked": "apk-tools refuses equal files of two packages",
    "replaces-symlink": "apk-tools unpacks nothing of a package that states size 0",
    "merged-usr": "apk-tools keeps the shipped path, ours is the place in the tree",
    "owner-names": "apk-tools resolves owner names, ours are the numbers",
}
"""Cases whose recorded database differs for a stated reason."""


class Record(NamedTuple):
    head: tuple[str, ...]
    directories: dict[str, str]
    files: dict[str, tuple[str, str]]


def records(text: str) -> dict[str, Record]:
    """Name → record, order of directories and files left out."""
    found = {}
    for block in text.strip("\n").split("\n\n"):
        head: list[str] = []
        directories: dict[str, str] = {}
        files: dict[str, tuple[str, str]] = {}
        directory = path = ""
        for line in block.split("\n"):
            letter, value = line[:1], line[2:]
            if letter == "F":
                directory = value
                directories[value] = ""
            elif letter == "M":
                directories[directory] = value
            elif letter == "R":
                path = f"{directory}/{value}".lstrip("/")
                files[path] = ("", "")
            elif letter == "a":
                files[path] = (value, files[path][1])
            elif letter == "Z":
                files[path] = (files[path][0], value)
            else:
                head.append(line)
        found[next(line[2:] for line in head if line.startswith("P:"))] = Record(tuple(head), directories, files)
    return found


def cases() -> list[str]:
    return sorted(path.parent.parent.name for path in RUNS.glob("cases/*/expect/apk-tools.json")) or ["absent"]


@lru_cache(maxsize=1)
def archives() -> dict[str, Path]:
    return {path.stem: path for path in sorted(RUNS.glob("repos/main/x86_64/*.apk"))}


@lru_cache(maxsize=256)
def package(name_version: str) -> PackageFiles | None:
    """The files of a package of the main repository, after a way through the store."""
    path = archives().get(name_version)
    if path is None:
        return None
    store, codec = MemoryStore(), canonical_codec()
    try:
        with path.open("rb") as stream:
            segment = make_segment(store, stream, codec)
    except ApkilnError:
        return None
    loaded = load_segment(store, segment.files.head.sha256, codec.name)
    assert loaded is not None
    return loaded.files


@pytest.mark.parametrize("case", cases())
def test_records_are_those_of_apk(case: str) -> None:
    if case == "absent":
        pytest.skip("the recorded runs are not beside the checkout")
    if case in ON_PURPOSE:
        pytest.skip(ON_PURPOSE[case])
    recorded: dict[str, Any] = json.loads((RUNS / "cases" / case / "expect" / "apk-tools.json").read_text())
    order, text = recorded.get("install_order"), recorded.get("installed")
    if recorded["rc"] or not order or not text:
        pytest.skip("apk-tools installed nothing")
    packages = [package(name) for name in order]
    if None in packages:
        pytest.skip("a package comes from another repository, or the strict reader refuses it")
    ours = records(installed_database(plan_tree([item for item in packages if item is not None])).decode())
    theirs = records(text)
    assert ours.keys() == theirs.keys()
    for name, record in theirs.items():
        assert ours[name].head == record.head
        big = {path for path in record.files if path.endswith("/big-id")}  # apk-tools does not read ids from PAX records
        assert {path: line for path, line in ours[name].files.items() if path not in big} == {
            path: line for path, line in record.files.items() if path not in big
        }
        # apk-tools 3 leaves directories out in which a package has no files; every one it writes must be ours too
        for path, line in record.directories.items():
            assert ours[name].directories.get(path, "" if not path else None) == line
