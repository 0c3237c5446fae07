"""Commands of images run as a user does, in a directory with a definition and a repository."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pytest
from tests.image_workshop import Workshop, definition
from tests.sample_packages import SamplePackage, sample_package

from apkiln.cli import dispatch

BASE = {"etc/passwd": b"root:x:0:0::/:/bin/sh\n", "etc/group": b"root:x:0:\n"}


def packages(arch: str, version: str = "1.0-r0") -> list[SamplePackage]:
    return [
        sample_package("base", files=BASE, arch=arch),
        sample_package("app", arch=arch, depends=["so:z.so.1"]),
        sample_package("zlib", version, arch=arch, provides=["so:z.so.1=1"]),
    ]


class Session:
    """A directory with a definition and a repository, and what commands say there."""

    def __init__(self, place: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.place = place
        self._capsys = capsys
        self.publish("1.0-r0")

    def publish(self, version: str, archs: Sequence[str] = ("x86_64", "aarch64")) -> None:
        shop = Workshop({arch: packages(arch, version) for arch in archs}, definition(("base", "app"), "[amd64, arm64]"))
        for path, content in shop.files.snapshot().items():
            target = self.place / path.removeprefix("work/")
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content)

    def run(self, *words: str, code: int = 0) -> str:
        """Standard output of a command, whose exit code must be `code`."""
        found = dispatch.dispatch([*words, "--cache-dir", str(self.place / "cache")])
        captured = self._capsys.readouterr()
        assert found == code, captured.err
        self.errors = captured.err
        return captured.out

    def run_json_error(self, *words: str, code: int) -> str:
        """The reason of the failure."""
        self.run(*words, "--json", code=code)
        reason: str = json.loads(self.errors[self.errors.index("{") :])["error"]["reason"]
        return reason
