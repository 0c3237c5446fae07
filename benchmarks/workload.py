"""What is built: about sixty real packages of some 270 MB from the machine's package sources, or a made-up set of that size."""

from __future__ import annotations

import hashlib
import itertools
import os
import random
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from apkiln.formats.apk.contents import PackageInfo
from apkiln.formats.apk.dependency import parse_dependency, provided
from apkiln.formats.apk.index import read_index, write_index
from apkiln.formats.apk.index_text import parse_index_text
from apkiln.formats.apk.package_writer import PackageDraft, package_bytes
from apkiln.formats.apk.records import IndexRecord
from apkiln.formats.archive.entry import Entry, EntryType
from apkiln.formats.deflate.codec import canonical_codec
from apkiln.system.signer import generate_key_pair

APKILN = Path(sys.executable).parent / "apkiln"
ROOTS = ("gcc", "python3", "wget", "bc")
"""Debian packages whose closure is the workload."""
MADE_UP_PACKAGES, MADE_UP_FILES, MADE_UP_BYTES = 57, 130, 268_000_000
INDEX_PACKAGES, WORLD, DEPENDENCIES = 5000, 6, 8
"""A world of 6 names with 8 dependencies each, less what they share: about 50 packages."""


@dataclass(frozen=True, slots=True)
class Workload:
    """A repository and what to ask of it."""

    kind: str
    """`Debian packages` or `made-up packages`."""
    repository: Path
    key: Path
    """Public key."""
    names: tuple[str, ...]
    """Every package, sorted."""
    leaves: tuple[str, ...]
    """Packages that no other needs."""
    apk_bytes: int


def prepare(work: Path, environment: Mapping[str, str], *, made_up: bool) -> Workload:
    """The workload below `work`, kept from one benchmark to the next."""
    repository = work / ("made-up" if made_up else "debian") / "repository"
    if not (repository.parent / "complete").exists():
        _run([APKILN, "repo", "init", repository, "--key-name", "bench.rsa"], environment)
        if made_up:
            files = _made_up_packages(repository.parent)
            _run([APKILN, "repo", "add", "-q", repository, *files], environment)
        else:
            _run([APKILN, "deb", "import", *ROOTS, "--repo", repository, "--prune", "installer"], environment)
        (repository.parent / "complete").touch()
    return _described(repository, "made-up packages" if made_up else "Debian packages")


def definition(workload: Workload, path: Path, *, without: tuple[str, ...] = (), layering: str = "") -> Path:
    """An image definition of all packages but some."""
    lines = [
        "contents:",
        f"  repositories: ['{workload.repository}']",
        f"  keyring: ['{workload.key}']",
        f"  packages: [{', '.join(name for name in workload.names if name not in without)}]",
        "archs: [x86_64]",
        *((f"layering: {layering}",) if layering else ()),
    ]
    path.write_text("\n".join(lines) + "\n")
    return path


def new_combinations(workload: Workload, cache: Path) -> Iterator[tuple[str, ...]]:
    """Sets of packages to leave out, small ones first; none that was given before with the same cache, also by an earlier run.

    Ends the benchmark when all have been seen.
    """
    used = cache / f"benchmark-combinations-{workload.repository.parent.name}"
    sizes = range(1, len(workload.leaves) + 1)
    everything = itertools.chain.from_iterable(itertools.combinations(workload.leaves, size) for size in sizes)
    begun = int(used.read_text()) if used.exists() else 0
    for number, chosen in enumerate(itertools.islice(everything, begun, None), begun + 1):
        used.write_text(str(number))
        yield chosen
    sys.exit(f"every combination has been built before: remove {cache}")


def index_of_many(place: Path) -> tuple[Path, Path, tuple[str, ...]]:
    """A signed repository that lists 5,000 made-up packages (and holds none): its path, public key and a world to solve."""
    repository, key = place / "many", place / "many.rsa.pub"
    if not key.exists():
        signer = generate_key_pair("many.rsa.pub").signer
        (repository / "x86_64").mkdir(parents=True, exist_ok=True)
        index = write_index(many_records(INDEX_PACKAGES), "benchmark", canonical_codec(), [signer])
        (repository / "x86_64" / "APKINDEX.tar.gz").write_bytes(index)
        key.write_bytes(signer.public_key())
    return repository, key, tuple(f"package-{number:04}" for number in range(WORLD))


def many_records(count: int) -> list[IndexRecord]:
    """Made-up packages; the world's are the first ones."""
    chance = random.Random(20231114)
    records = []
    for number in range(count):
        name = f"package-{number:04}"
        needed = chance.sample(_candidates(number, count), min(DEPENDENCIES, len(_candidates(number, count))))
        version = f"{chance.randrange(9)}.{chance.randrange(40)}.{chance.randrange(9)}-r{chance.randrange(4)}"
        records.append(
            IndexRecord(
                name,
                version,
                "x86_64",
                hashlib.sha1(name.encode(), usedforsecurity=False).digest(),
                size=10_000 + number,
                installed_size=30_000 + number,
                description=f"a made-up package with the number {number}",
                url="https://example.com/",
                license="Apache-2.0",
                origin=name,
                build_date=1_700_000_000 + number,
                depends=" ".join(f"so:lib{other:04}.so.1" for other in sorted(needed)),
                provides=f"so:lib{number:04}.so.1=1.{number} cmd:tool-{number:04}={version}",
            )
        )
    return records


def _candidates(number: int, count: int) -> range:
    """What a package may need: the world's packages lean on libraries that lean on nothing, the rest on what comes later."""
    if number < WORLD:
        return range(WORLD, WORLD + 50)
    if number < WORLD + 50:
        return range(0)
    return range(min(number + 50, count), min(number + 150, count))


def _described(repository: Path, kind: str) -> Workload:
    with (repository / "x86_64" / "APKINDEX.tar.gz").open("rb") as stream:
        records = parse_index_text(read_index(stream.read()).text).records
    records = tuple(row for row in records if not row.name.endswith("-doc"))  # an image asks for none of them
    needed = {parse_dependency(item).name for row in records for item in row.depends.split()}
    leaves = [row.name for row in records if not needed & {row.name, *(provided(item)[0] for item in row.provides.split())}]
    (key,) = repository.glob("*.pub")
    size = sum(record.size for record in records)
    return Workload(kind, repository, key, tuple(sorted(row.name for row in records)), tuple(sorted(leaves)), size)


def _made_up_packages(place: Path) -> list[Path]:
    chance = random.Random(57)
    codec = canonical_codec()
    paths = []
    for number in range(MADE_UP_PACKAGES):
        size = MADE_UP_BYTES // MADE_UP_PACKAGES // MADE_UP_FILES
        files = [(f"usr/lib/p{number}/file-{item}", _half_random(chance, size)) for item in range(MADE_UP_FILES)]
        directories = [Entry(path, EntryType.DIRECTORY, 0o755) for path in ("usr", "usr/lib", f"usr/lib/p{number}")]
        entries = [Entry(path, EntryType.FILE, size=len(content)) for path, content in files]
        name = f"made-up-{number:02}"
        info = PackageInfo(name, "1.0-r0", "x86_64", "made up", "https://example.com", "Apache-2.0", build_date=1_700_000_000)
        path = place / f"{name}-1.0-r0.apk"
        path.write_bytes(package_bytes(PackageDraft(info, (*directories, *entries)), files, codec))
        paths.append(path)
    return paths


def _half_random(chance: random.Random, size: int) -> bytes:
    """Bytes that compress to about a third, like programs."""
    words = [chance.randbytes(12) for _ in range(400)]
    return b"".join(chance.choices(words, k=size // 12 + 1))[:size]


def _run(words: list[object], environment: Mapping[str, str]) -> None:
    result = subprocess.run([str(word) for word in words], env=environment, capture_output=True, text=True, check=False)
    if result.returncode:
        sys.exit(f"{' '.join(map(str, words))}: exit {result.returncode}\n{result.stderr}")


def clean_environment(cache: Path) -> dict[str, str]:
    """This process's environment with one cache and with compiled bytecode allowed."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return environment | {"APKILN_CACHE": str(cache), "SOURCE_DATE_EPOCH": "1700000000"}
