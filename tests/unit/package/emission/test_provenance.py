"""The statement of origin: verified with the public key, about the files' own digests, with all materials."""

from __future__ import annotations

import hashlib
import json
from base64 import b64decode
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from tests.package_workshop import DEMO, emission, file, read, request, tree, written
from tests.sample_packages import sample_signer

from apkiln.core.errors import UsageError
from apkiln.formats.apk.records import IndexRecord
from apkiln.formats.attestation import dsse
from apkiln.package.emission.request import BuildFacts, GuestPackage, Material
from apkiln.system.memory_files import MemoryFiles

SUB = DEMO + "subpackages: [{name: demo-dev}]\n"
NAME = "demo-1.2-r3.apk.intoto.jsonl"
GUEST = GuestPackage(IndexRecord("gcc", "13-r0", "x86_64", b"\1" * 20, 1, 1), "https://demo.example/os", "ab" * 32)
FACTS = BuildFacts(
    runner="bubblewrap 0.8",
    impurities=("network in `pipeline[0]`",),
    parameters=(("network", "off"),),
    by_products=(("log", "cd" * 32),),
    invocation="one",
)


def statement(**fields: Any) -> tuple[dict[str, Any], dict[str, bytes]]:
    files = written(
        request(SUB, provenance=True, **fields), tree(file("a", b"1")), tree(package="demo-dev"), signers=(sample_signer(),)
    )
    return json.loads(b64decode(json.loads(files[NAME])["payload"])), files


def test_the_signature_covers_type_and_payload() -> None:
    signer = sample_signer()
    _, files = statement()
    envelope = dsse.read(files[NAME])
    key = load_pem_public_key(signer.public_key())
    assert isinstance(key, RSAPublicKey) and envelope.signatures[0].key == signer.name
    key.verify(envelope.signatures[0].value, envelope.signed_bytes, PKCS1v15(), SHA256())
    assert files[NAME].count(b"\n") == 1 and files[NAME].endswith(b"\n")


def test_subjects_are_the_files() -> None:
    found, files = statement()
    assert found["_type"] == "https://in-toto.io/Statement/v1" and found["predicateType"] == "https://slsa.dev/provenance/v1"
    assert [row["name"] for row in found["subject"]] == ["demo-1.2-r3.apk", "demo-dev-1.2-r3.apk"]
    for row in found["subject"]:
        content = files[row["name"]]
        contents, _ = read(content)
        offset, length = contents.sections[1]
        assert row["digest"] == {"sha256": hashlib.sha256(content).hexdigest()}
        assert row["annotations"] == {
            "apk:control": hashlib.sha256(content[offset : offset + length]).hexdigest(),
            "apk:datahash": contents.info.data_hash,
        }


def test_everything_that_went_in_is_named() -> None:
    source = Material("https://demo.example/x.tgz", (("sha256", "ef" * 32),), "x.tgz", "pkg:generic/x@1")
    found, _ = statement(
        guest=(GUEST,),
        materials=(source, source),
        facts=FACTS,
        git_commit="c" * 40,
        git_repository="https://git.example/os",
        source_date=5,
    )
    build = found["predicate"]["buildDefinition"]
    assert [row["name"] for row in build["resolvedDependencies"]] == ["definitions", "x.tgz", "gcc-13-r0"]
    assert build["resolvedDependencies"][2]["digest"] == {"apkControlSha1": "01" * 20, "sha256": "ab" * 32}
    assert build["internalParameters"]["apkiln.hermetic"] == {"value": False, "reasons": ["network in `pipeline[0]`"]}
    assert build["externalParameters"]["sourceDate"] == 5 and build["externalParameters"]["parameters"] == {"network": "off"}
    assert found["predicate"]["runDetails"]["byproducts"] == [{"name": "log", "digest": {"sha256": "cd" * 32}}]
    assert found["predicate"]["runDetails"]["metadata"] == {"invocationId": "one"}


def test_times_are_there_only_when_they_are_told() -> None:
    plain, again = statement()[1][NAME], statement()[1][NAME]
    assert plain == again
    found, _ = statement(facts=BuildFacts(started=0, finished=60))
    assert found["predicate"]["runDetails"]["metadata"] == {
        "startedOn": "1970-01-01T00:00:00Z",
        "finishedOn": "1970-01-01T00:01:00Z",
    }


def test_each_input_shows() -> None:
    before = statement()[0]["predicate"]["buildDefinition"]
    for change in ({"guest": (GUEST,)}, {"source_date": 9}, {"namespace": "n"}, {"definition_digest": "00" * 32}):
        assert statement(**change)[0]["predicate"]["buildDefinition"] != before


def test_without_a_key_there_is_no_statement() -> None:
    files = MemoryFiles()
    with pytest.raises(UsageError) as error:
        emission(request(provenance=True), tree(), files=files)
    assert error.value.reason == "no-signer" and files.snapshot() == {}
