"""Results of builds in an object store: the contract of shared stores, and whole builds of two machines."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import obstore
import pytest
from tests.build_workshop import make_fixture
from tests.conformance.suites.commands import Answer, run_command
from tests.integration.clients import client
from tests.object_servers import moto
from tests.shared_store_contract import Damage, SharedStoreContract

from apkiln.core.digest import Digest
from apkiln.core.secret import Secret
from apkiln.system.blob_store_object import Bucket, object_store
from apkiln.system.bucket_store import BucketStore

pytestmark = pytest.mark.enable_socket
DEFINITION = """package: {name: demo, version: "1.0", epoch: 0, description: a demo, copyright: [{license: MIT}]}
environment: {contents: {packages: [busybox]}}
pipeline: [{runs: "echo built; mkdir -p ${{targets.destdir}}/usr; echo x > ${{targets.destdir}}/usr/x"}]
"""


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    pytest.importorskip("moto.server", reason="moto not installed")
    with moto() as address:
        yield address


@pytest.fixture
def bucket(endpoint: str) -> Bucket:
    name = f"results{time.monotonic_ns()}"
    assert httpx.put(f"{endpoint}/{name}", trust_env=False).status_code == 200
    return Bucket(name, "kept", endpoint, access_key="k", secret_key=Secret("s"))


@pytest.fixture
def store(bucket: Bucket) -> BucketStore:
    return BucketStore(object_store(bucket), "the bucket")


@pytest.fixture
def damage(bucket: Bucket) -> Damage:
    objects = object_store(bucket)

    def change(digest: Digest | None) -> None:
        path = "tables/table/key" if digest is None else f"sha256/{digest.hex[:2]}/{digest.hex[2:]}"
        content = bytes(obstore.get(objects, path).bytes())
        obstore.put(objects, path, content[:5] + bytes([content[5] ^ 1]) + content[6:])

    return change


class TestBucket(SharedStoreContract):
    """See `SharedStoreContract`."""


class Machine:
    """A cache of its own, and everything else shared."""

    def __init__(self, home: Path, name: str, bucket: Bucket) -> None:
        self.home = home
        self.environment = {
            "APKILN_CACHE": str(home / name),
            "AWS_ENDPOINT_URL": bucket.endpoint,
            "AWS_ACCESS_KEY_ID": bucket.access_key,
            "AWS_SECRET_ACCESS_KEY": bucket.secret_key.reveal(),
        }
        self.place = f"s3://{bucket.name}/{bucket.prefix}"

    def build(self, *flags: str) -> Answer:
        keys = ("-r", "fixture/repository", "-k", "fixture/fixture.rsa.pub", "--signing-key", "fixture/fixture.rsa")
        words = ("package", "build", "demo.yaml", *keys, "--empty-workspace", "--result-store", self.place, "--json", *flags)
        return run_command(words, self.home, self.environment)

    def packages(self) -> dict[str, bytes]:
        found = {path.name: path.read_bytes() for path in (self.home / "packages").rglob("demo*")}
        shutil.rmtree(self.home / "packages")
        return found


@pytest.fixture
def home(tmp_path: Path) -> Path:
    client("bwrap")
    for place in (tmp_path, tmp_path.parent):
        place.chmod(0o755)
    make_fixture(tmp_path / "fixture")
    (tmp_path / "demo.yaml").write_text(DEFINITION)
    return tmp_path


def test_one_machine_builds_and_the_other_takes(home: Path, bucket: Bucket) -> None:
    first, second = Machine(home, "one", bucket), Machine(home, "two", bucket)
    built = first.build()
    assert built.code == 0 and '"reused": false' in built.output, built.errors
    expected = first.packages()
    taken = second.build()
    assert taken.code == 0 and '"reused": true' in taken.output and "| built" not in taken.errors
    assert second.packages() == expected and len(expected) == 2, "the package and its statement of origin"


def test_a_bucket_out_of_reach_is_named(home: Path, bucket: Bucket) -> None:
    machine = Machine(home, "one", bucket)
    machine.place = "s3://no-such-bucket/kept"
    # What is not there looks like an empty bucket; only keeping the result meets the refusal, when all is built.
    answer = machine.build()
    assert answer.code == 0 and "s3://no-such-bucket/kept" in answer.errors, answer.errors
    assert "demo-1.0-r0.apk" in machine.packages()


@pytest.mark.parametrize(
    ("place", "flags", "reason"),
    [("s3://", (), "names no bucket"), ("s3://b/x", ("--offline",), "out of reach"), ("gs://b/x", (), "no place for results")],
)
def test_places_that_cannot_be(home: Path, bucket: Bucket, place: str, flags: tuple[str, ...], reason: str) -> None:
    machine = Machine(home, "one", bucket)
    machine.place = place
    answer = machine.build(*flags)
    assert answer.code == 2 and reason in answer.errors
