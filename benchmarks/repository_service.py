"""Publishing into a large repository: `python -m benchmarks.repository_service [PACKAGES]` (spec repository.md §11)."""

from __future__ import annotations

import hashlib
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from tests.sample_packages import sample_package
from tests.service_workshop import ALICE, Places, created, publish, started

from apkiln.core.digest import Digest
from apkiln.formats.deflate.codec import canonical_codec
from apkiln.repository.equipment import Policy
from apkiln.repository.generations import full_image, index_bytes
from apkiln.repository.ledger.actions import Finding, Manifest, Opened, Uploaded, Verified
from apkiln.repository.ledger.packages import Package
from apkiln.repository.ledger.state import Transaction
from apkiln.repository.promotion import Promotion
from apkiln.repository.service import RepositoryService
from apkiln.system.blob_store import pieces
from apkiln.system.blob_store_directory import DirectoryBlobs
from apkiln.system.clock import SystemClock
from apkiln.system.database import open_ledgers
from apkiln.system.files import DiskFiles

POLICY = Policy(sign_packages=True)
BATCH = 10_000


def synthetic(number: int) -> tuple[Package, bytes]:
    """A package of realistic record size whose file is a few bytes."""
    name, data = f"package-{number:06d}", b"%d" % number
    digest = hashlib.sha256(data).hexdigest()
    package = Package(
        "x86_64", name, f"1.{number % 40}.{number % 7}-r{number % 3}", digest, len(data), digest, digest[:40], digest,
        installed_size=number * 37 % 9_000_000, description=f"the number {number}, made for measuring", license="Apache-2.0",
        url=f"https://example.com/{name}", origin=name, build_date=1_700_000_000 + number, commit=digest[:40],
        depends=(f"so:lib{number % 50}.so.1",) if number >= 50 else (), provides=(f"so:lib{number}.so.1=1", f"cmd:{name}=1"),
    )  # fmt: skip
    return package, data


class Trusting(Promotion):
    """Judges nothing: what it is given was made here, and is good."""

    def _findings(self, batch: Sequence[Transaction], base: int) -> tuple[Finding, ...]:
        return ()


def fill(where: Places, count: int, begun: RepositoryService | None = None) -> None:
    """Accepted packages without the cost of uploading and judging them one by one; `begun`: a repository with its keys."""
    service = begun or created(where, POLICY)
    service.promotion.__class__ = Trusting
    for start in range(0, count, BATCH):
        made = [synthetic(number) for number in range(start, min(count, start + BATCH))]
        for package, data in made:
            where.blobs.put(digest_of(package.digest), pieces(data))
        rows = service.append(ALICE, lambda state: (Opened(Manifest(pending_allowed=True)),))
        number = rows[0].number
        packages = tuple(package for package, _ in made)
        service.append(ALICE, lambda state, number=number: (Uploaded(number),))  # type: ignore[misc]
        service.append(ALICE, lambda state, number=number, packages=packages: (Verified(number, packages),))  # type: ignore[misc]
        service.process(number)


def digest_of(text: str) -> Digest:
    """From its hex digits."""
    return Digest.sha256(bytes.fromhex(text))


def main(count: int) -> None:
    """One line for each figure."""
    with tempfile.TemporaryDirectory() as directory:
        home = Path(directory)

        def places(durable: bool) -> Places:
            blobs = DirectoryBlobs(home / "blobs", DiskFiles(durable=durable))
            return Places(open_ledgers(f"sqlite:///{home}/ledger.db"), blobs, SystemClock())  # type: ignore[arg-type]

        fill(places(durable=False), count)
        begin = time.perf_counter()
        service = started(places(durable=True), POLICY)
        service.warm()
        print(f"start with {count} packages         {time.perf_counter() - begin:8.3f} s")
        taken = []
        for build in range(20):
            packages = [sample_package(f"new-{part}", f"{build + 1}-r0", origin="new") for part in range(5)]
            begin = time.perf_counter()
            done = publish(service, *packages)
            taken.append(time.perf_counter() - begin)
            assert done.step.value == "live", done.findings
        taken.sort()
        print(f"publish 5 packages, p50               {statistics.median(taken):8.3f} s")
        print(f"publish 5 packages, p95               {taken[int(len(taken) * 0.95)]:8.3f} s")
        begin = time.perf_counter()
        image = full_image(service.state.listing(), canonical_codec())
        made = index_bytes(image, f"os {service.state.current}", canonical_codec(), ())
        print(f"full rebuild of the index             {time.perf_counter() - begin:8.3f} s, {len(made)} bytes")
        index = service.state.generations[service.state.current].indexed.arches[0]
        stored = b"".join(service.equipment.blobs.read(digest_of(index.sha256)) or ())
        print(f"equal to the published one            {stored.endswith(made)}")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 100_000)
