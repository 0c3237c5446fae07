"""Random signed repositories for images: packages with owners, links, attributes, shared paths, provides and scripts.

They are written with the standard library's tar, not with the product's, and listed as the recorded corpus `apko-runs` lists
its own (`packages.json`).
"""

from __future__ import annotations

import hashlib
import io
import json
import random
import tarfile
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.sample_packages import sample_signer

from apkiln.formats.apk.index import write_index
from apkiln.formats.apk.payload import CHECKSUM
from apkiln.formats.apk.records import IndexRecord
from apkiln.formats.apk.signing import signature_section, signatures_of
from apkiln.formats.deflate.codec import canonical_codec
from apkiln.system.signer import RsaSigner

ARCHITECTURES = ("x86_64", "aarch64")
BUILT = 1_700_000_000
_KINDS = {"file": tarfile.REGTYPE, "dir": tarfile.DIRTYPE, "symlink": tarfile.SYMTYPE, "hardlink": tarfile.LNKTYPE}
PASSWD = "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\napp:x:1001:1002:app:/home/app:/bin/sh\n"
GROUP = "root:x:0:\nshadow:x:42:\napps:x:1002:app\nnobody:x:65534:\n"
RELEASE = 'ID=testos\nNAME="Test OS"\nVERSION_ID=1.2.3\nPRETTY_NAME="Test OS 1.2.3"\n'


@dataclass(frozen=True, slots=True)
class Shipped:
    """A path in the data section of a package."""

    path: str
    type: str = "file"
    mode: int = 0o644
    uid: int = 0
    gid: int = 0
    content: bytes = b""
    target: str = ""
    xattrs: tuple[tuple[str, str], ...] = ()
    mtime: int = BUILT - 1000

    def header(self) -> tarfile.TarInfo:
        info = tarfile.TarInfo(self.path)
        info.type, info.mode, info.uid, info.gid, info.mtime = _KINDS[self.type], self.mode, self.uid, self.gid, self.mtime
        info.linkname = self.target
        info.uname = info.gname = "root" if not self.uid and not self.gid else ""
        info.size = len(self.content) if self.type == "file" else 0
        records = {f"SCHILY.xattr.{name}": value for name, value in self.xattrs}
        summed = {"file": self.content, "symlink": self.target.encode()}.get(self.type)
        if summed is not None:
            records[CHECKSUM] = hashlib.sha1(summed).hexdigest()
        info.pax_headers = records
        return info

    def row(self) -> dict[str, Any]:
        """The entry as the corpus lists it."""
        row: dict[str, Any] = {"path": self.path, "type": self.type, "mode": f"{self.mode:04o}"}
        row |= {"uid": self.uid, "gid": self.gid, "mtime": self.mtime}
        if self.type == "file":
            row |= {"size": len(self.content), "sha256": hashlib.sha256(self.content).hexdigest()}
        return row | ({"linkname": self.target} if self.target else {})


@dataclass(frozen=True, slots=True)
class Recipe:
    """What a package is made from."""

    name: str
    version: str = "1.0-r0"
    origin: str = ""
    files: tuple[Shipped, ...] = ()
    depends: tuple[str, ...] = ()
    provides: tuple[str, ...] = ()
    replaces: tuple[str, ...] = ()
    install_if: tuple[str, ...] = ()
    priority: int = 0
    built: int = BUILT
    scripts: tuple[tuple[str, str], ...] = ()
    triggers: tuple[str, ...] = ()
    architectures: tuple[str, ...] = ARCHITECTURES

    @property
    def installed_size(self) -> int:
        return sum(len(shipped.content) for shipped in self.files)

    def information(self, arch: str, data: bytes) -> list[str]:
        lines = [f"pkgname = {self.name}", f"pkgver = {self.version}", f"pkgdesc = the {self.name} of a test"]
        lines += [f"url = https://example.com/{self.name}", f"arch = {arch}", f"size = {self.installed_size}"]
        lines += [f"origin = {self.origin}"] if self.origin else []
        lines += ["license = MIT", f"builddate = {self.built}"]
        for key, values in (("depend", self.depends), ("provides", self.provides), ("replaces", self.replaces)):
            lines += [f"{key} = {value}" for value in values]
        lines += [f"install_if = {' '.join(self.install_if)}"] if self.install_if else []
        lines += [f"provider_priority = {self.priority}"] if self.priority else []
        lines += [f"triggers = {' '.join(self.triggers)}"] if self.triggers else []
        return [*lines, f"datahash = {hashlib.sha256(data).hexdigest()}"]

    def write(self, arch: str, signer: RsaSigner) -> tuple[bytes, IndexRecord, list[str]]:
        """The package, its record and the lines of `.PKGINFO`."""
        data = _compressed([(shipped.header(), shipped.content) for shipped in with_parents(self.files)], end=True)
        lines = self.information(arch, data)
        files = [(".PKGINFO", "\n".join(lines) + "\n"), *self.scripts]
        control = _compressed([(_control_header(name, text), text.encode()) for name, text in files], end=False)
        whole = signature_section(signatures_of(control, [signer], ["RSA256"]), canonical_codec()) + control + data
        return whole, self._record(arch, control, len(whole)), lines

    def _record(self, arch: str, control: bytes, size: int) -> IndexRecord:
        return IndexRecord(
            self.name,
            self.version,
            arch,
            hashlib.sha1(control).digest(),
            size,
            self.installed_size,
            description=f"the {self.name} of a test",
            url=f"https://example.com/{self.name}",
            license="MIT",
            origin=self.origin,
            build_date=self.built,
            provider_priority=self.priority,
            depends=" ".join(self.depends),
            provides=" ".join(self.provides),
            install_if=" ".join(self.install_if),
        )


def with_parents(files: Iterable[Shipped]) -> list[Shipped]:
    """Sorted, with the directories that no entry names; hard links behind what they name."""
    listed = {shipped.path: shipped for shipped in files}
    for path in list(listed):
        parts = path.split("/")[:-1]
        for count in range(1, len(parts) + 1):
            parent = "/".join(parts[:count])
            listed.setdefault(parent, Shipped(parent, "dir", 0o755))
    return [listed[path] for path in sorted(listed, key=lambda path: (listed[path].type == "hardlink", path))]


def _control_header(name: str, text: str) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.size, info.mode, info.mtime = len(text.encode()), 0o644 if name == ".PKGINFO" else 0o755, BUILT
    return info


def _compressed(members: Sequence[tuple[tarfile.TarInfo, bytes]], *, end: bool) -> bytes:
    """A gzip member with a tar; the control section has no end blocks."""
    stream = io.BytesIO()
    archive = tarfile.TarFile(fileobj=stream, mode="w", format=tarfile.PAX_FORMAT)
    for info, content in members:
        archive.addfile(info, io.BytesIO(content) if info.isreg() else None)
    body = stream.getvalue() + (bytes(1024) if end else b"")
    compressor = zlib.compressobj(6, zlib.DEFLATED, 31)
    return compressor.compress(body) + compressor.flush()


@dataclass(slots=True)
class Repositories:
    """What a corpus has under `repos/`, `keys/` and in `packages.json`."""

    place: Path
    listed: list[dict[str, Any]] = field(default_factory=list)

    def add(self, name: str, recipes: Iterable[Recipe], signer: RsaSigner) -> None:
        (self.place / "keys").mkdir(parents=True, exist_ok=True)
        (self.place / "keys" / signer.name).write_bytes(signer.public_key())
        recipes = list(recipes)
        for arch in ARCHITECTURES:
            folder = self.place / "repos" / name / arch
            folder.mkdir(parents=True)
            records = [self._write(folder, recipe, arch, signer) for recipe in recipes if arch in recipe.architectures]
            (folder / "APKINDEX.tar.gz").write_bytes(write_index(records, name, canonical_codec(), [signer]))

    def _write(self, folder: Path, recipe: Recipe, arch: str, signer: RsaSigner) -> IndexRecord:
        data, record, lines = recipe.write(arch, signer)
        path = folder / f"{record.name_version}.apk"
        path.write_bytes(data)
        if arch == recipe.architectures[0]:
            entries = [shipped.row() for shipped in with_parents(recipe.files)]
            self.listed.append({"file": path.relative_to(self.place).as_posix(), "pkginfo": lines, "entries": entries})
        return record

    def write_listing(self) -> None:
        (self.place / "packages.json").write_text(json.dumps({"count": len(self.listed), "packages": self.listed}))


def signers() -> tuple[RsaSigner, RsaSigner]:
    """The keys of `main` and `extra`."""
    return sample_signer("main.rsa.pub"), sample_signer("extra.rsa.pub")


class PackageMaker:
    """Draws the packages of one world."""

    def __init__(self, seed: str, certificate: str) -> None:
        self.random = random.Random(seed)
        self._certificate = certificate
        self.names = [f"p{letter}" for letter in "abcdefghijkl"]

    def chance(self, share: float) -> bool:
        return self.random.random() < share

    def main(self) -> list[Recipe]:
        recipes = [self._base(), *self._fixtures()]
        for name in self.names:
            recipes += self._versions(name)
        return recipes

    def extra(self) -> list[Recipe]:
        """Further versions of some, and a package of its own."""
        some = self.random.sample(self.names, 3)
        return [Recipe("only-extra", files=(Shipped("usr/share/only-extra", content=b"extra\n"),))] + [
            self._package(name, self.random.choice(("0.9-r0", "1.5-r2", "3.0-r0")), extra=True) for name in some
        ]

    def _base(self) -> Recipe:
        directories = [Shipped(path, "dir", 0o755) for path in ("bin", "sbin", "usr/bin", "usr/sbin", "var/log", "mnt")]
        directories += [Shipped("tmp", "dir", 0o1777), Shipped("root", "dir", 0o700), Shipped("srv", "dir", 0o2775, 0, 1002)]
        files = {"etc/passwd": PASSWD, "etc/group": GROUP, "etc/os-release": RELEASE, "etc/hostname": "localhost\n"}
        shipped = [Shipped(path, content=text.encode()) for path, text in files.items()]
        shipped.append(Shipped("etc/shadow", mode=0o640, gid=42, content=b"root:*::0:::::\nnobody:!::0:::::\napp:!::0:::::\n"))
        return Recipe("base", "3.1-r2", "base", (*directories, *shipped), provides=("layout=3.1",))

    def _fixtures(self) -> list[Recipe]:
        """Packages that rules look for: certificates, s6, a shell, libraries."""
        bundle = Shipped("etc/ssl/certs/ca-certificates.crt", content=self._certificate.encode())
        own = Shipped("usr/local/share/ca-certificates/corp.crt", content=self._certificate.encode())
        library = b"\x7fELF not really a library\n"
        applets = Shipped("etc/busybox-paths.d/busybox", content=b"/bin/ls\n/bin/sh\n/usr/bin/env\n/sbin/init\n")
        return [
            Recipe("ca-bundle", files=(bundle,), origin="ca"),
            Recipe("corp-ca", files=(own,), provides=("corp-certs=1",), origin="ca"),
            Recipe("s6", files=(Shipped("bin/s6-svscan", mode=0o755, content=b"s6\n"),)),
            Recipe("busybox", "1.36-r1", "busybox", (Shipped("bin/busybox", mode=0o755, content=b"bb\n"), applets)),
            Recipe(
                "lib-conf",
                files=(
                    Shipped("etc/ld.so.conf", content=b"/usr/lib\n"),
                    Shipped("usr/lib/libx.so.1.0", mode=0o755, content=library),
                    Shipped("usr/lib/libx.so.1", "symlink", 0o777, target="libx.so.1.0"),
                ),
                provides=("so:libx.so.1=1.0",),
            ),
        ]

    def _versions(self, name: str) -> list[Recipe]:
        versions = self.random.sample(
            ("1.0-r0", "1.2-r0", "1.10-r0", "1.10-r3", "2.0_rc1-r0", "2.0-r0"), self.random.choice((1, 1, 2, 3))
        )
        found = [self._package(name, version) for version in versions]
        if len(found) > 1 and self.chance(0.2):  # one architecture lags behind
            found[0] = self._only(found[0])
        return found

    def _only(self, recipe: Recipe) -> Recipe:
        values = {name: getattr(recipe, name) for name in recipe.__slots__}
        return Recipe(**{**values, "architectures": (self.random.choice(ARCHITECTURES),)})

    def _package(self, name: str, version: str, *, extra: bool = False) -> Recipe:
        later = self.names[self.names.index(name) + 1 :]
        depends = [self._item(other) for other in later if self.chance(0.1)]
        depends += ["so:libx.so.1"] * self.chance(0.1) + ["layout>=3"] * self.chance(0.1) + ["virt"] * self.chance(0.08)
        provides = ["virt"] * self.chance(0.15) + [f"cmd:{name}={version}"] * self.chance(0.3)
        install_if = ("base", self.random.choice(later)) if later and self.chance(0.05) else ()
        return Recipe(
            name,
            version,
            self.random.choice(("", name, name, "group-one", "group-two")),
            tuple(self._files(name, version, extra)),
            tuple(depends),
            tuple(provides),
            tuple(self.random.sample(self.names, 2)) if self.chance(0.15) else (),
            install_if,
            self.random.randrange(1, 100) if "virt" in provides else 0,
            BUILT + self.random.choice((0, 0, 86_400)),
            ((".post-install", "#!/bin/sh\nexit 0\n"),) if self.chance(0.1) else (),
        )

    def _item(self, name: str) -> str:
        return name + self.random.choice(("", "", "", "", ">=1.0", ">0.1-r0"))

    def _files(self, name: str, version: str, extra: bool) -> list[Shipped]:
        text = f"{name} {version} {'extra' if extra else 'main'}\n".encode()
        mtime = BUILT - self.random.choice((1000, 2000, 3000))
        program = f"usr/bin/{name}"
        files = [Shipped(program, mode=self.random.choice((0o755, 0o755, 0o4755, 0o2711)), content=text, mtime=mtime)]
        if self.chance(0.2):
            files.append(Shipped(f"usr/bin/{name}-again", "hardlink", files[0].mode, target=program, mtime=mtime))
        if self.chance(0.3):
            files.append(Shipped(f"usr/share/{name}/link", "symlink", 0o777, target=self._target(name), mtime=mtime))
        if self.chance(0.3):
            files += self._data_of_service(name, text, mtime)
        if self.chance(0.08):  # a path that others have, too
            content = self.random.choice((b"shared\n", text))
            files.append(Shipped("etc/shared.conf", mode=self.random.choice((0o644, 0o644, 0o600)), content=content))
        if self.chance(0.15):
            files.append(Shipped(f"usr/share/{name}/attr", content=text, xattrs=(("user.note", "a note"),)))
        return files

    def _target(self, name: str) -> str:
        return self.random.choice(("data", f"/usr/bin/{name}", "../../../etc/passwd", "nowhere"))

    def _data_of_service(self, name: str, text: bytes, mtime: int) -> list[Shipped]:
        uid, gid = self.random.choice(((1001, 1002), (0, 42), (4000, 4000)))
        mode = self.random.choice((0o750, 0o755, 0o2770, 0o1777))
        return [
            Shipped(f"var/lib/{name}", "dir", mode, uid, gid, mtime=mtime),
            Shipped(f"var/lib/{name}/data", "file", 0o640, uid, gid, text, mtime=mtime),
            Shipped(f"usr/share/{name}", "dir", 0o755),
            Shipped(f"usr/share/{name}/data", content=b"data of " + text, mtime=mtime),
        ]
