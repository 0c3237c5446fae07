"""The real `apko` as a black box: random definitions in, a corpus in the shape of `apko-runs` out (its README has the shape)."""

from __future__ import annotations

import datetime
import hashlib
import io
import itertools
import json
import os
import re
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import yaml
from tests.conformance.suites.image_trees import installed
from tests.differential.apko_definitions import Definition, DefinitionMaker
from tests.differential.apko_packages import PackageMaker, Repositories, signers

_TYPES = {b"0": "file", b"\0": "file", b"1": "hardlink", b"2": "symlink", b"3": "char", b"4": "block", b"5": "dir", b"6": "fifo"}
_TEXT = ("etc/apk/", "etc/apko.json", "etc/passwd", "etc/group", "etc/shadow", "usr/lib/apk/db/", "sv/")
_SECONDS, _HANGS = 30, 124
_STAMP = re.compile(r"^\d{4}/\d\d/\d\d \d\d:\d\d:\d\d ", re.MULTILINE)
_PACKAGE_FLAGS = frozenset({"-p", "-r", "-b", "-k", "--arch"})
_APK_NAMES = {"amd64": "x86_64", "arm64": "aarch64"}


class Programs(NamedTuple):
    """Where the peers are; `apk` may be absent, then nothing is said of its verdict."""

    apko: str
    apk: str | None


class Recorder:
    """Writes one corpus: a world of packages and `count` definitions over it."""

    def __init__(self, place: Path, programs: Programs) -> None:
        self._place = place
        self._programs = programs
        self._environment = {**os.environ, "TMPDIR": str(place.parent), "XDG_CACHE_HOME": str(place.parent / "peer-cache")}
        self._environment.pop("SOURCE_DATE_EPOCH", None)

    def record(self, seed: str, count: int) -> None:
        certificate = made_certificate()
        maker = PackageMaker(seed, certificate)
        repositories = Repositories(self._place)
        main, extra = signers()
        repositories.add("main", maker.main(), main)
        repositories.add("extra", maker.extra(), extra)
        repositories.write_listing()
        (self._place / "README.md").write_text("Random image definitions and what apko made of them.\n")
        definitions = DefinitionMaker(seed, maker.names, certificate, main.public_key().decode())
        cases = [self._case(definitions.make(f"case-{seed}-{number:03}")) for number in range(count)]
        (self._place / "manifest.json").write_text(json.dumps({"count": len(cases), "cases": cases}, indent=1))

    def _case(self, made: Definition) -> dict[str, Any]:
        folder = self._place / "cases" / made.name
        expect = folder / "expect"
        expect.mkdir(parents=True)
        for name, text in made.files.items():
            (folder / name).write_text(text)
        config = f"cases/{made.name}/apko.yaml"
        results = {"show-config": self._printed(made, config, "show-config", expect / "show-config.yaml")}
        if not set(made.arguments) & _PACKAGE_FLAGS:  # of which the other verbs know some, and some do not
            results["show-packages"] = self._printed(made, config, "show-packages", expect / "show-packages.txt")
            results["lock"] = self._locked(made, config, expect)
            results["dot"] = self._printed(made, config, "dot", expect / "graph.dot")
        results["build"] = self._built(made, config, expect)
        if results["build"]["rc"] == 0 and not made.arguments and (expect / "layer-amd64-0.json").exists():
            self._exported(made, config, expect)
        case: dict[str, Any] = {"name": made.name, "config": config, "args": made.arguments, "env": made.environment}
        case |= {"tag": made.tag, "expect_failure": results["build"]["rc"] != 0, "results": results}
        return case | self._verdict(case, expect)

    def _run(self, made: Definition, words: Sequence[str], program: str = "") -> subprocess.CompletedProcess[str]:
        command = [program or self._programs.apko, *words]
        environment = {**self._environment, **made.environment}
        try:
            return subprocess.run(
                command, cwd=self._place, capture_output=True, text=True, env=environment, timeout=_SECONDS, check=False
            )
        except subprocess.TimeoutExpired:  # it waits for a network, or for itself
            return subprocess.CompletedProcess(command, _HANGS, "", "no answer\n")

    def _printed(self, made: Definition, config: str, verb: str, path: Path) -> dict[str, Any]:
        answer = self._run(made, [verb, config])
        if answer.returncode:
            path.with_name(f"{verb}.stderr").write_text(_STAMP.sub("", answer.stderr))
        else:
            path.write_text(answer.stdout)
        return {"rc": answer.returncode}

    def _locked(self, made: Definition, config: str, expect: Path) -> dict[str, Any]:
        answer = self._run(made, ["lock", config, "--output", str(expect / "lock.json")])
        if answer.returncode:
            (expect / "lock.json").unlink(missing_ok=True)
            (expect / "lock.stderr").write_text(_STAMP.sub("", answer.stderr))
        return {"rc": answer.returncode}

    def _built(self, made: Definition, config: str, expect: Path) -> dict[str, Any]:
        """Twice; the second image is only compared with the first."""
        found: list[str] = []
        for number in range(2):
            with tempfile.TemporaryDirectory(dir=self._place.parent) as temporary:
                output, bills = Path(temporary, "out"), Path(temporary, "bills")
                output.mkdir()
                bills.mkdir()
                words = ["build", config, made.tag, str(output), "--sbom-path", str(bills), "--cache-dir", f"{temporary}/cache"]
                answer = self._run(made, [*words, "--vcs=false", *made.arguments])
                if answer.returncode:
                    (expect / "build.stderr").write_text(_STAMP.sub("", answer.stderr))
                    return {"rc": answer.returncode}
                found.append(hashlib.sha256((output / "index.json").read_bytes()).hexdigest())
                if not number:
                    self._keep(output, bills, expect)
        return {"rc": 0, "runs": 2, "distinct_results": len(set(found))}

    def _exported(self, made: Definition, config: str, expect: Path) -> None:
        """The tree as minirootfs and, where a program can list it, as cpio."""
        with tempfile.TemporaryDirectory(dir=self._place.parent) as temporary:
            tree, initial = Path(temporary, "tree.tar.gz"), Path(temporary, "initial.cpio")
            answer = self._run(made, ["build-minirootfs", config, str(tree), "--build-arch", "x86_64"])
            if answer.returncode == 0:
                with tarfile.open(tree) as archive:
                    document = {"rc": 0, "paths": archive.getnames()}
                (expect / "minirootfs.json").write_text(json.dumps(document))
            answer = self._run(made, ["build-cpio", config, str(initial), "--build-arch", "x86_64"])
            lister = shutil.which("cpio")
            if answer.returncode == 0 and lister is not None:
                with initial.open("rb") as stream:
                    listed = subprocess.run(
                        [lister, "-itvn", "--quiet"], stdin=stream, capture_output=True, text=True, check=True
                    )
                (expect / "cpio.json").write_text(json.dumps({"rc": 0, "listing": listed.stdout.splitlines()}))

    def _keep(self, output: Path, bills: Path, expect: Path) -> None:
        index = (output / "index.json").read_bytes()
        (expect / "index.json").write_bytes(index)
        for row in json.loads(index)["manifests"]:
            platform = row["platform"]["architecture"] + row["platform"].get("variant", "")
            content = _blob(output, row)
            (expect / f"manifest-{platform}.json").write_bytes(content)
            manifest = json.loads(content)
            (expect / f"config-{platform}.json").write_bytes(_blob(output, manifest["config"]))
            for number, layer in enumerate(manifest["layers"]):
                document = {"digest": layer["digest"], "entries": list(_entries(_blob(output, layer)))}
                (expect / f"layer-{platform}-{number}.json").write_text(json.dumps(document))
        for path in bills.glob("sbom-*.json"):
            shutil.copy(path, expect / path.name)

    # --- apk-tools ---

    def _verdict(self, case: Mapping[str, Any], expect: Path) -> dict[str, Any]:
        """What apk-tools installs for the same world; absent where architectures need not get the same, or flags matter."""
        shown = expect / "show-config.yaml"
        if self._programs.apk is None or not shown.exists():
            return {}
        config = yaml.safe_load(shown.read_text())
        _add_flags(config["contents"], case["args"])
        archs = _flag(case["args"], "--arch").split(",") if "--arch" in case["args"] else config.get("archs") or ["x86_64"]
        answers = [self._installed(config, str(arch)) for arch in archs]
        (expect / "apk-tools.json").write_text(json.dumps(answers[0]))
        if any(sorted(answer["packages"]) != sorted(answers[0]["packages"]) for answer in answers):
            return {}
        peer = _installed_packages(expect)
        return {
            "apk_tools_agrees": (answers[0]["rc"] == 0) == (peer is not None)
            and (peer or sorted(answers[0]["packages"])) == sorted(answers[0]["packages"])
        }

    def _installed(self, config: Mapping[str, Any], arch: str) -> dict[str, Any]:
        contents = config.get("contents") or {}
        with tempfile.TemporaryDirectory(dir=self._place.parent) as temporary:
            lines = [*(contents.get("build_repositories") or ()), *(contents.get("repositories") or ())]
            Path(temporary, "repositories").write_text("".join(f"{self._absolute(str(line))}\n" for line in lines))
            words = ["--root", f"{temporary}/root", "--keys-dir", str(self._place / "keys")]
            words += ["--repositories-file", f"{temporary}/repositories", "--arch", _APK_NAMES.get(arch, arch)]
            words += ["--no-cache", "--no-scripts"]
            world = [str(item) for item in contents.get("packages") or ()]
            answer = self._run(Definition(""), [*words, "add", "--initdb", *world], self._programs.apk or "")
            database = next(Path(temporary, "root").glob("**/apk/db/installed"), None)
            packages = [] if answer.returncode or database is None else installed(database.read_text())
            text = database.read_text() if database is not None else ""
        return {"rc": answer.returncode, "packages": packages, "messages": answer.stderr, "installed": text}

    def _absolute(self, line: str) -> str:
        tag, space, place = line.rpartition(" ")
        return f"{tag}{space}{(self._place / place).resolve()}" if "://" not in place else line


def _flag(arguments: Sequence[str], name: str) -> str:
    return arguments[list(arguments).index(name) + 1]


def _add_flags(contents: dict[str, Any], arguments: Sequence[str]) -> None:
    """What `-p`, `-r` and `-b` add to a definition."""
    keys = {"-p": "packages", "-r": "repositories", "-b": "build_repositories"}
    for flag, value in itertools.pairwise(arguments):
        if flag in keys:
            contents[keys[flag]] = [*(contents.get(keys[flag]) or ()), value]


def _installed_packages(expect: Path) -> list[str] | None:
    """`name-version` of what the image holds, sorted; None where there is no image."""
    for path in sorted(expect.glob("layer-*.json"), key=lambda path: int(path.stem.rpartition("-")[2]), reverse=True):
        for entry in json.loads(path.read_text())["entries"]:
            if entry["path"] == "usr/lib/apk/db/installed":
                return installed(entry["text"])
    return None


def made_certificate() -> str:
    """A self-signed certificate."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "Test CA")])
    start = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
    builder = x509.CertificateBuilder(name, name, key.public_key(), 7, start, start.replace(year=2126))
    return builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM).decode()


def _blob(layout: Path, row: Mapping[str, Any]) -> bytes:
    return (layout / "blobs" / str(row["digest"]).replace(":", "/")).read_bytes()


def _entries(compressed: bytes) -> Iterable[dict[str, Any]]:
    with tarfile.open(fileobj=io.BytesIO(compressed)) as archive:
        for member in archive:
            row: dict[str, Any] = {"path": member.name, "type": _TYPES[member.type], "mode": f"{member.mode:04o}"}
            row |= {
                "uid": member.uid,
                "gid": member.gid,
                "uname": member.uname,
                "gname": member.gname,
                "mtime": int(member.mtime),
            }
            if member.linkname:
                row["linkname"] = member.linkname
            if row["type"] in ("char", "block"):
                row["dev"] = f"{member.devmajor}:{member.devminor}"
            attributes = {key: value for key, value in member.pax_headers.items() if key.startswith("SCHILY.xattr.")}
            if attributes:
                row["xattrs_hex"] = {key.removeprefix("SCHILY.xattr."): value.encode().hex() for key, value in attributes.items()}
            if member.isreg():
                stream = archive.extractfile(member)
                assert stream is not None
                content = stream.read()
                row |= {"size": len(content), "sha256": hashlib.sha256(content).hexdigest()}
                if member.name == "etc/ld.so.cache":
                    row["hex"] = content.hex()
                elif member.name.startswith(_TEXT) and not member.name.endswith(".tar"):
                    row["text"] = content.decode()
            yield row
