"""The contracts of ledgers and blobs on PostgreSQL and on an S3 server."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.integration.clients import client
from tests.ledger_contract import LedgerContract, row
from tests.object_servers import SERVERS, free_port, make_bucket, object_server
from tests.sample_packages import sample_package
from tests.service_workshop import Places, created, names, publish

from apkiln.core.digest import Digest
from apkiln.core.errors import ApkilnError, VerificationError
from apkiln.core.secret import Secret
from apkiln.repository.reconciling import compare
from apkiln.system.blob_store import CHUNK, BlobEntry
from apkiln.system.blob_store_object import Bucket, ObjectBlobs, open_bucket
from apkiln.system.clock import ManualClock
from apkiln.system.database import DatabaseLedgers, open_ledgers
from apkiln.system.ledger_store import Claim


@pytest.fixture(scope="module")
def cluster() -> Iterator[str]:
    """A PostgreSQL cluster of our own, over a Unix socket; its user must be able to enter the directory."""
    client("initdb")
    home = Path(tempfile.mkdtemp(prefix="apkiln-pg-"))
    user: list[str] = []
    if os.getuid() == 0:
        if shutil.which("runuser") is None:
            pytest.skip("PostgreSQL refuses root, and runuser is not there")
        shutil.chown(home, "postgres")
        user = ["runuser", "-u", "postgres", "--"]
    data = home / "data"
    run = [*user, "initdb", "-D", str(data), "-A", "trust", "-U", "postgres"]
    subprocess.run(run, check=True, capture_output=True, cwd=home)
    options = f"-k {home} -c listen_addresses='' -c fsync=off"
    start = [*user, "pg_ctl", "-D", str(data), "-o", options, "-l", str(home / "log"), "-w", "start"]
    subprocess.run(start, check=True, stdout=subprocess.DEVNULL, cwd=home)
    yield f"host={home}"
    subprocess.run([*user, "pg_ctl", "-D", str(data), "-m", "fast", "stop"], check=True, stdout=subprocess.DEVNULL, cwd=home)
    shutil.rmtree(home)


@pytest.fixture
def database(cluster: str) -> Iterator[str]:
    """The URL of an empty database."""
    import psycopg

    name = f"t{time.monotonic_ns()}"
    with psycopg.connect(f"{cluster} user=postgres dbname=postgres", autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    yield f"postgresql://postgres@/{name}?{cluster}"


class TestPostgresql(LedgerContract):
    @pytest.fixture
    def ledgers(self, database: str) -> Iterator[DatabaseLedgers]:
        opened = open_ledgers(database)
        yield opened
        opened.close()


def test_postgresql_lets_nobody_rewrite(database: str) -> None:
    import psycopg

    ledgers = open_ledgers(database)
    ledgers.append("os", [row(1)], [Claim("version", "a", "1")])
    ledgers.close()
    plain = database.replace("postgresql://postgres@/", "dbname=").replace("?", " ") + " user=postgres"
    for statement in ("UPDATE ledger SET actor = 'x'", "DELETE FROM ledger", "TRUNCATE ledger", "DELETE FROM claim"):
        with psycopg.connect(plain) as connection, pytest.raises(psycopg.errors.RaiseException, match="append-only"):
            connection.execute(statement)


@pytest.fixture(scope="module", params=SERVERS)
def endpoint(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with object_server(request.param, tmp_path_factory.mktemp("objects")) as address:
        yield address


@pytest.fixture
def blobs(endpoint: str) -> ObjectBlobs:
    return open_bucket(make_bucket(endpoint, f"b{time.monotonic_ns()}"))


def digest_of(data: bytes) -> Digest:
    return Digest.sha256(hashlib.sha256(data).digest())


def test_blobs_in_a_bucket(blobs: ObjectBlobs) -> None:
    data = bytes(range(256)) * 8192 + b"end"
    digest = digest_of(data)
    assert (blobs.size(digest), blobs.read(digest)) == (None, None)
    assert blobs.put(digest, [data[:7], data[7:]]) == len(data)
    assert blobs.put(digest, iter(())) == len(data), "again is no error and reads nothing"
    for offset, length in ((0, None), (5, 100), (CHUNK - 1, 2), (len(data) - 3, None), (len(data), None)):
        read = blobs.read(digest, offset, length)
        assert read is not None
        assert b"".join(read) == data[offset : None if length is None else offset + length]
    with pytest.raises(VerificationError):
        blobs.put(digest_of(b"x"), [b"y"])
    assert list(blobs.list()) == [BlobEntry(digest, len(data))]
    blobs.remove(digest)
    blobs.remove(digest)
    assert list(blobs.list()) == []


def test_a_bucket_that_does_not_answer() -> None:
    blobs = open_bucket(Bucket("none", "", f"http://127.0.0.1:{free_port()}", access_key="k", secret_key=Secret("s")))
    blobs_put = pytest.raises(ApkilnError)
    with blobs_put as caught:
        blobs.put(digest_of(b"x"), [b"x"])
    assert (caught.value.reason, caught.value.retriable) == ("store-unavailable", True)


def test_a_service_on_postgresql_and_a_bucket(database: str, blobs: ObjectBlobs) -> None:
    ledgers = open_ledgers(database)
    service = created(Places(ledgers, blobs, ManualClock()))
    publish(service, sample_package("a"), sample_package("b"))
    assert names(service) == ["a-1.0-r0", "b-1.0-r0"]
    assert not list(compare(service, deep=True))
    ledgers.close()
