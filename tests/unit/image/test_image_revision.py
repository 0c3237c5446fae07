from __future__ import annotations

from pathlib import PurePosixPath

import pytest

from apkiln.image.revision import find_revision
from apkiln.system.memory_files import MemoryFiles

COMMIT = "0123456789abcdef0123456789abcdef01234567"
CONFIG = b'[core]\n\tbare = false\n[remote "other"]\n\turl = https://no.example/x\n[remote "origin"]\n\turl = https://u:p@example.com/r.git\n'


def found(files: dict[str, bytes], directory: str = "home/repo/images", top: str = "home/repo") -> str:
    return find_revision(MemoryFiles(files), PurePosixPath(directory), PurePosixPath(top))


@pytest.mark.parametrize(
    "files",
    [
        {"home/repo/.git/HEAD": COMMIT.encode()},
        {"home/repo/.git/HEAD": b"ref: refs/heads/main\n", "home/repo/.git/refs/heads/main": COMMIT.encode() + b"\n"},
        {
            "home/repo/.git/HEAD": b"ref: refs/heads/main\n",
            "home/repo/.git/packed-refs": b"# pack-refs\n" + COMMIT.encode() + b" refs/heads/main\n",
        },
    ],
)
def test_commit_and_origin_without_user(files: dict[str, bytes]) -> None:
    assert found(files | {"home/repo/.git/config": CONFIG}) == f"https://example.com/r.git@{COMMIT}"


def test_a_linked_checkout() -> None:
    place = "home/repo/../main/.git/worktrees/repo"
    files = {
        "home/repo/.git": b"gitdir: ../main/.git/worktrees/repo\n",
        f"{place}/HEAD": b"ref: refs/heads/work\n",
        f"{place}/commondir": b"../..\n",
        f"{place}/../../config": CONFIG,
        f"{place}/../../refs/heads/work": COMMIT.encode(),
    }
    assert found(files) == f"https://example.com/r.git@{COMMIT}"


@pytest.mark.parametrize(
    "files",
    [
        {},
        {"home/repo/.git/config": CONFIG},
        {"home/repo/.git/HEAD": COMMIT.encode()},
        {"home/repo/.git/HEAD": b"ref: refs/heads/none", "home/repo/.git/config": CONFIG},
        {"home/repo/.git/HEAD": b"ref: HEAD", "home/repo/.git/config": CONFIG},
        {"home/.git/HEAD": COMMIT.encode(), "home/.git/config": CONFIG},
        {"home/repo/.git/HEAD": b"x" * (5 << 20), "home/repo/.git/config": CONFIG},
    ],
)
def test_nothing_usable_is_nothing(files: dict[str, bytes]) -> None:
    assert found(files) == ""


def test_the_search_ends_at_the_top_even_from_outside() -> None:
    files = {"home/repo/.git/HEAD": COMMIT.encode(), "home/repo/.git/config": CONFIG}
    assert found(files, "elsewhere/images", "home/repo") == ""
