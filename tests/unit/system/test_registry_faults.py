"""What the registry client does when a registry, or what stands before it, misbehaves."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.registry_contract import Content, as_document, attach, noise, push_image, reason_of
from tests.registry_contract import Server as Contract

from apkiln.core.errors import ApkilnError, ConflictError, UnavailableError, VerificationError
from apkiln.core.secret import Secret
from apkiln.formats.oci import media_types
from apkiln.formats.oci.documents import Descriptor, Index, describe, encode_index
from apkiln.system.clock import ManualClock
from apkiln.system.http import HttpPolicy
from apkiln.system.memory_registry import Fault, MemoryNetwork, MemoryRegistry, RegistryTraits, memory_registry_client
from apkiln.system.memory_registry_access import BasicGate, TokenGate
from apkiln.system.registry import BlobOutcome
from apkiln.system.registry_logins import KnownLogins, Login
from apkiln.system.registry_names import RepositoryName
from apkiln.system.registry_referrers import add_referrer, fallback_tag, list_referrers
from apkiln.system.registry_session import RegistryPolicy
from apkiln.system.urls import UserPart

HOST, NAME = "host.example", "team/app"
REPOSITORY = RepositoryName(HOST, NAME)
POLICY = RegistryPolicy(HttpPolicy(retries=3), chunk=1000, whole=100)
PASSWORD = "a-secret-word"
LOGINS = KnownLogins({HOST: Login(UserPart("me", Secret(PASSWORD)))})
DATA = noise(4500)
BLOB = describe(media_types.LAYER_GZIP, DATA)
SMALL = noise(50)
SMALL_BLOB = describe(media_types.LAYER_GZIP, SMALL)


def pushed(registry: MemoryRegistry, data: bytes = DATA, blob: Descriptor = BLOB) -> BlobOutcome:
    outcome = memory_registry_client(registry, policy=POLICY).push_blob(REPOSITORY, blob, Content(data, 700))
    assert registry.blobs(NAME)[str(blob.digest)] == data
    return outcome


def holding(data: bytes = DATA, traits: RegistryTraits | None = None) -> MemoryRegistry:
    registry = MemoryRegistry(traits or RegistryTraits())
    registry.blobs(NAME)[str(describe("", data).digest)] = data
    return registry


def pull(registry: MemoryRegistry | MemoryNetwork, blob: Descriptor = BLOB) -> bytes:
    received = bytearray()
    memory_registry_client(registry, policy=POLICY).read_blob(REPOSITORY, blob, received.extend)
    return bytes(received)


def refused(registry: MemoryRegistry | MemoryNetwork, logins: KnownLogins | None = None) -> ApkilnError:
    with pytest.raises(ApkilnError) as caught:
        memory_registry_client(registry, logins, POLICY).push_blob(REPOSITORY, BLOB, Content(DATA))
    return caught.value


PATCH_FAULTS = {
    "lost before": Fault("PATCH", "", receive=0),
    "lost in the middle": Fault("PATCH", "state=1000", receive=311),
    "answer lost": Fault("PATCH", "state=2000", drop=True),
    "server error": Fault("PATCH", "state=1000", status=503),
    "wrong position": Fault("PATCH", "state=1000", status=416),
    "upload forgotten": Fault("PATCH", "state=1000", status=404),
    "answer without a range": Fault("PATCH", "", headers=(("range", ""),)),
    "position in the future": Fault("PATCH", "", headers=(("range", "0-4000"),)),
    "position at the beginning": Fault("PATCH", "state=1000", headers=(("range", "0-0"),)),
    "end lost": Fault("PUT", "", receive=0),
    "answer to the end lost": Fault("PUT", "", drop=True),
    "end not known": Fault("PUT", "", status=404),
    "bytes broken on the way": Fault("PUT", "", status=400, content=b'{"errors":[{"code":"DIGEST_INVALID"}]}'),
    "begin fails": Fault("POST", "", status=500),
    "busy": Fault("POST", "", status=429, headers=(("retry-after", "7"),)),
    "position not told": Fault("GET", "uploads", status=404),
}


@pytest.mark.parametrize("fault", PATCH_FAULTS.values(), ids=list(PATCH_FAULTS))
def test_uploads_go_on_after_one_fault(fault: Fault) -> None:
    registry = MemoryRegistry()
    registry.misbehave(fault)
    assert pushed(registry) is BlobOutcome.UPLOADED


@pytest.mark.parametrize(
    "fault", [Fault("PUT", "", receive=10), Fault("PUT", "", drop=True), Fault("PUT", "", status=502)], ids=str
)
def test_small_blobs_go_up_in_one_request_and_again_after_a_fault(fault: Fault) -> None:
    registry = MemoryRegistry()
    assert pushed(registry, SMALL, SMALL_BLOB) is BlobOutcome.UPLOADED
    assert (registry.count("PATCH"), registry.count("PUT"), registry.count("POST")) == (0, 1, 1)
    again = MemoryRegistry()
    again.misbehave(fault)
    pushed(again, SMALL, SMALL_BLOB)


def test_a_finished_upload_whose_answer_got_lost_is_not_sent_again() -> None:
    for data, blob in ((DATA, BLOB), (SMALL, SMALL_BLOB)):
        registry = MemoryRegistry()
        registry.misbehave(Fault("PUT", "", drop=True))
        pushed(registry, data, blob)
        assert registry.count("POST") == 1


def test_an_interrupted_upload_sends_only_what_is_missing() -> None:
    registry = MemoryRegistry()
    registry.misbehave(Fault("PATCH", "state=2000", receive=600))
    pushed(registry)
    sent = [(item.headers["content-range"], item.size) for item in registry.asked if item.method == "PATCH"]
    assert sent == [("0-999", 1000), ("1000-1999", 1000), ("2000-2999", 1000), ("2600-3599", 1000), ("3600-4499", 900)]
    assert registry.unfinished == 0


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.builds(
            Fault,
            st.sampled_from(["PATCH", "PATCH", "PUT", "POST", "GET", "HEAD"]),
            st.just(""),
            status=st.sampled_from([0, 0, 0, 429, 500, 503]),
            receive=st.integers(-1, 1000),
            drop=st.booleans(),
        ),
        max_size=12,
    )
)
def test_whatever_breaks_the_blob_is_whole_or_not_there(faults: list[Fault]) -> None:
    registry = MemoryRegistry()
    registry.misbehave(*faults)
    try:
        memory_registry_client(registry, policy=POLICY).push_blob(REPOSITORY, BLOB, Content(DATA, 700))
    except UnavailableError as fault:
        assert fault.retriable
        assert registry.blobs(NAME) in ({}, {str(BLOB.digest): DATA})
    else:
        assert registry.blobs(NAME) == {str(BLOB.digest): DATA}


def test_a_registry_that_tells_nonsense_of_pieces_gets_one_stream() -> None:
    registry = MemoryRegistry()
    nothing = (("range", "0-0"),)
    registry.misbehave(*[Fault(method, "uploads", headers=nothing) for method in ("PATCH", "GET") for _ in range(50)])
    assert pushed(registry) is BlobOutcome.UPLOADED
    assert registry.count("PATCH") == 2
    assert registry.unfinished == 1  # the one that it told nonsense of


def test_a_registry_that_loses_every_upload_is_given_up() -> None:
    registry = MemoryRegistry()
    registry.misbehave(*[Fault("PATCH", "state=1000", status=404) for _ in range(50)])
    assert refused(registry).reason == "upload-lost"
    assert registry.count("POST") <= 6


def test_bytes_that_break_every_time_are_an_error() -> None:
    registry = MemoryRegistry()
    body = b'{"errors":[{"code":"DIGEST_INVALID","message":"no"}]}'
    registry.misbehave(*[Fault("PUT", "", status=400, content=body) for _ in range(5)])
    fault = refused(registry)
    assert (fault.reason, type(fault)) == ("digest-refused", VerificationError)


def test_a_registry_that_stored_something_else_is_caught() -> None:
    registry = MemoryRegistry()
    registry.misbehave(Fault("PUT", "", headers=(("docker-content-digest", str(SMALL_BLOB.digest)),)))
    assert refused(registry).reason == "digest-mismatch"


def test_without_pieces_the_blob_goes_up_as_one_stream() -> None:
    registry = MemoryRegistry(RegistryTraits(chunks=False))
    assert pushed(registry) is BlobOutcome.UPLOADED
    assert registry.count("PATCH") == 1


def test_pieces_shrink_once_when_they_are_too_large() -> None:
    registry = MemoryRegistry(RegistryTraits(largest_body=1500))
    policy = RegistryPolicy(chunk=4000, small_chunk=1000, whole=100)
    memory_registry_client(registry, policy=policy).push_blob(REPOSITORY, BLOB, Content(DATA, 700))
    assert [item.size for item in registry.asked if item.method == "PATCH"] == [4000, 1000, 1000, 1000, 1000, 500]
    registry = MemoryRegistry(RegistryTraits(largest_body=500))
    with pytest.raises(UnavailableError) as caught:
        memory_registry_client(registry, policy=policy).push_blob(REPOSITORY, BLOB, Content(DATA, 700))
    assert caught.value.reason == "too-large"


def test_a_failed_push_leaves_no_upload_behind() -> None:
    registry = MemoryRegistry(RegistryTraits(quota=2500))
    fault = refused(registry)
    assert (fault.reason, fault.details) == ("quota-exceeded", ("DENIED: the quota of this project is used up",))
    assert registry.unfinished == 0


@pytest.mark.parametrize(
    ("status", "code", "reason"),
    [
        (401, "UNAUTHORIZED", "unauthorized"),
        (403, "DENIED", "denied"),
        (404, "NAME_UNKNOWN", "not-found"),
        (413, "SIZE_INVALID", "too-large"),
        (400, "NAME_INVALID", "registry-refusal"),
        (507, "", "quota-exceeded"),
        (302, "", "registry-refusal"),
        (500, "", "server-error"),
        (429, "TOOMANYREQUESTS", "server-error"),
    ],
)
def test_refusals_are_told_apart(status: int, code: str, reason: str) -> None:
    registry = MemoryRegistry()
    body = json.dumps({"errors": [{"code": code, "message": "why\x1b[31m not"}]}).encode()
    registry.misbehave(*[Fault("POST", "", status=status, content=body) for _ in range(9)])
    fault = refused(registry)
    assert (fault.reason, fault.origin.source) == (reason, HOST)
    assert "\x1b" not in "".join(fault.details)


@pytest.mark.parametrize("body", [b"", b"404 page not found\n", b"{}", b'{"errors":3}', b'{"errors":[3]}', b"[" * 9000, b"\xff"])
def test_refusals_without_a_reason_are_refusals(body: bytes) -> None:
    registry = MemoryRegistry()
    registry.misbehave(Fault("POST", "", status=400, content=body))
    assert refused(registry).reason == "registry-refusal"


def test_waits_follow_what_the_registry_asks_for() -> None:
    registry, clock = MemoryRegistry(), ManualClock()
    registry.misbehave(*[Fault("POST", "", status=429, headers=(("retry-after", "17"),)) for _ in range(2)])
    memory_registry_client(registry, policy=POLICY, clock=clock).push_blob(REPOSITORY, SMALL_BLOB, Content(SMALL))
    assert clock.slept == [17.0, 17.0]


# Reading


def test_a_broken_download_goes_on_with_a_range() -> None:
    registry = holding()
    registry.misbehave(Fault("GET", "blobs", cut=1500))
    assert pull(registry) == DATA
    assert [item.headers.get("range") for item in registry.asked if item.method == "GET"] == [None, "bytes=1500-"]


@pytest.mark.parametrize("content", [DATA[:-1], DATA[:-1] + b"x", DATA + b"x", b""], ids=["short", "changed", "long", "empty"])
def test_lying_blobs_are_refused(content: bytes) -> None:
    registry = holding()
    registry.misbehave(Fault("GET", "blobs", replace=content))
    with pytest.raises(VerificationError) as caught:
        pull(registry)
    assert caught.value.reason == "digest-mismatch"


def test_a_blob_of_another_size_is_not_taken_for_present() -> None:
    registry = holding()
    registry.misbehave(Fault("HEAD", "blobs", headers=(("content-length", "7"),)))
    assert refused(registry).reason == "digest-mismatch"


def test_manifests_with_other_bytes_are_refused() -> None:
    registry = MemoryRegistry()
    client = memory_registry_client(registry, policy=POLICY)
    image = push_image(Contract(client, REPOSITORY), "x")
    client.push_manifest(REPOSITORY, "v1", image)
    for reference in (str(image.digest), "v1"):
        registry.misbehave(Fault("GET", "manifests", replace=image.content + b" "))
        assert reason_of(lambda reference=reference: client.read_manifest(REPOSITORY, reference)) == "digest-mismatch"
    registry.misbehave(Fault("HEAD", "manifests", headers=(("docker-content-digest", str(BLOB.digest)),)))
    assert reason_of(lambda: client.resolve(REPOSITORY, str(image.digest))) == "digest-mismatch"
    registry.misbehave(Fault("PUT", "manifests", headers=(("docker-content-digest", str(BLOB.digest)),)))
    assert reason_of(lambda: client.push_manifest(REPOSITORY, "v1", image)) == "digest-mismatch"
    registry.misbehave(Fault("GET", "manifests", replace=b"x" * (5 << 20)))
    assert reason_of(lambda: client.read_manifest(REPOSITORY, "v1")) == "bad-answer"


def test_registries_that_name_no_digest_are_asked_for_the_bytes() -> None:
    registry = MemoryRegistry()
    client = memory_registry_client(registry, policy=POLICY)
    image = push_image(Contract(client, REPOSITORY), "x")
    nameless = (("docker-content-digest", ""),)
    registry.misbehave(Fault("PUT", "manifests", headers=nameless), *[Fault("HEAD", "manifests", headers=nameless)] * 2)
    assert client.push_manifest(REPOSITORY, "v1", image).digest == image.digest
    found = client.resolve(REPOSITORY, "v1")
    assert found is not None
    assert found.digest == image.digest


# Other hosts


def elsewhere(base: str, **hosts: MemoryRegistry) -> tuple[MemoryNetwork, MemoryRegistry]:
    """A registry that needs a login and keeps blobs under `base`."""
    registry = holding(traits=RegistryTraits(blobs_elsewhere=base))
    registry.gate = BasicGate((("me", PASSWORD),))
    return MemoryNetwork({HOST: registry, **{name.replace("_", "."): host for name, host in hosts.items()}}), registry


def test_blobs_are_fetched_from_other_hosts_without_credentials() -> None:
    network, _ = elsewhere(f"https://cdn.example/v2/{NAME}/blobs", cdn_example=holding())
    received = bytearray()
    memory_registry_client(network, LOGINS, POLICY).read_blob(REPOSITORY, BLOB, received.extend)
    assert received == DATA
    there = [headers for url, headers in network.asked if "//cdn.example/" in url]
    assert len(there) == 1
    assert "authorization" not in there[0]
    assert any("authorization" in headers for url, headers in network.asked if f"//{HOST}/" in url)


@pytest.mark.parametrize("kind", ["blobs", "manifests"])
def test_no_answer_of_the_registry_sends_credentials_elsewhere(kind: str) -> None:
    elsewhere, registry = MemoryRegistry(), MemoryRegistry(gate=BasicGate((("me", PASSWORD),)))
    network = MemoryNetwork({HOST: registry, "cdn.example": elsewhere, f"{HOST}:8443": elsewhere})
    client = memory_registry_client(network, LOGINS, POLICY)
    client.log_in(REPOSITORY)
    for base in ("https://cdn.example", f"https://{HOST}:8443"):
        location = (("location", f"{base}/v2/{NAME}/{kind}/x"),)
        registry.misbehave(Fault("HEAD", kind, status=307, headers=location))
        if kind == "blobs":
            client.push_blob(REPOSITORY, describe("", base.encode()), Content(base.encode()))
        else:
            assert client.resolve(REPOSITORY, "v1") is None
    assert [item.method for item in elsewhere.asked] == ["HEAD", "HEAD"]
    assert not [item for item in elsewhere.asked if "authorization" in item.headers]
    assert [headers for url, headers in network.asked if f"//{HOST}/" in url and "authorization" in headers]


@pytest.mark.parametrize(
    ("base", "reason"),
    [
        ("http://cdn.example/x", "insecure-redirect"),
        (f"http://{HOST}/x", "insecure-redirect"),
        ("file:///etc/passwd", "insecure-redirect"),
        ("https://169.254.169.254/latest", "forbidden-address"),
        ("https://127.0.0.1/x", "forbidden-address"),
        ("https://127.1/x", "forbidden-address"),
        ("https://2130706433/x", "forbidden-address"),
        ("https://localhost/x", "forbidden-address"),
        ("https://localhost./x", "forbidden-address"),
        ("https://[::1]/x", "forbidden-address"),
        ("https://[::ffff:10.0.0.1]/x", "forbidden-address"),
        ("https://10.1.2.3/x", "forbidden-address"),
        ("https://metadata.google.internal/x", "forbidden-address"),
    ],
)
def test_redirects_lead_nowhere_inside(base: str, reason: str) -> None:
    network, _ = elsewhere(base)
    client = memory_registry_client(network, LOGINS, POLICY)
    with pytest.raises(UnavailableError) as caught:
        client.read_blob(REPOSITORY, BLOB, bytearray().extend)
    assert caught.value.reason == reason
    assert "signature" not in str(caught.value)
    assert all(url.startswith(f"https://{HOST}/") for url, _ in network.asked)


def test_uploads_and_pages_stay_with_the_registry() -> None:
    registry = MemoryRegistry()
    registry.misbehave(Fault("POST", "", status=202, headers=(("location", "https://cdn.example/upload"),)))
    assert refused(registry).reason == "foreign-address"
    registry.misbehave(Fault("POST", "", status=202))
    assert refused(registry).reason == "bad-answer"
    client = memory_registry_client(registry, policy=POLICY)
    empty = encode_index(Index(()))
    link = (("content-type", media_types.INDEX), ("link", '<https://cdn.example/next>; rel="next"'))
    registry.misbehave(Fault("GET", "referrers", status=200, headers=link, content=empty))
    assert reason_of(lambda: client.referrers(REPOSITORY, BLOB.digest)) == "foreign-address"
    circle = (("content-type", media_types.INDEX), ("link", '<?start=0>; rel="next"'))
    registry.misbehave(*[Fault("GET", "referrers", status=200, headers=circle, content=empty) for _ in range(9)])
    assert client.referrers(REPOSITORY, BLOB.digest) == ()
    assert registry.count("GET", "referrers") == 3


def test_endless_redirects_end() -> None:
    registry = MemoryRegistry()
    registry.misbehave(*[Fault("HEAD", "", status=307, headers=(("location", "/v2/x"),)) for _ in range(20)])
    assert refused(registry).reason == "too-many-redirects"


# Who we are


def test_no_login_and_a_wrong_login_are_refused_with_a_hint() -> None:
    for gate in (BasicGate((("me", PASSWORD),)), TokenGate(f"https://{HOST}", (("me", PASSWORD),))):
        for logins in (None, KnownLogins({HOST: Login(UserPart("me", Secret("another-word")))})):
            fault = refused(MemoryRegistry(gate=gate), logins)
            assert fault.reason == "unauthorized"
            assert f"docker login {HOST}" in fault.hint
            assert "another-word" not in repr((str(fault), fault.details, fault.hint))


def test_words_of_a_registry_that_repeats_secrets_are_blotted() -> None:
    registry = MemoryRegistry(gate=BasicGate((("me", PASSWORD),)))
    client = memory_registry_client(registry, LOGINS, POLICY)
    client.log_in(REPOSITORY)
    sent = next(item.headers["authorization"] for item in registry.asked if "authorization" in item.headers)
    message = json.dumps({"errors": [{"code": "DENIED", "message": f"you sent {sent}"}]}).encode()
    registry.misbehave(*[Fault("POST", "", status=403, content=message) for _ in range(2)])
    with pytest.raises(UnavailableError) as caught:
        client.push_blob(REPOSITORY, BLOB, Content(DATA))
    assert sent.partition(" ")[2] not in repr(caught.value.details)
    assert "****" in repr(caught.value.details)


def test_tokens_are_got_once_and_again_when_they_end() -> None:
    clock = ManualClock()
    gate = TokenGate(f"https://{HOST}", (("me", PASSWORD),), life=100, clock=clock)
    client = memory_registry_client(MemoryRegistry(gate=gate), LOGINS, POLICY, clock)
    client.log_in(REPOSITORY)
    for number in range(3):
        data = noise(50, str(number))
        client.push_blob(REPOSITORY, describe("", data), Content(data))
    assert gate.issued == 1
    clock.advance(96)
    client.push_blob(REPOSITORY, SMALL_BLOB, Content(SMALL))
    assert gate.issued == 2


def test_identity_tokens_are_exchanged_and_registry_tokens_sent() -> None:
    gate = TokenGate(f"https://{HOST}", identity_tokens=("refresh-me",))
    registry = MemoryRegistry(gate=gate)
    client = memory_registry_client(registry, KnownLogins({HOST: Login(identity_token=Secret("refresh-me"))}), POLICY)
    # a refresh token that the service takes but that grants no more than reading
    assert client.resolve(REPOSITORY, "v1") is None
    assert registry.count("POST", "/token") == 1
    other = MemoryRegistry(gate=TokenGate(f"https://{HOST}", anonymous_pull=False))
    refused(other, KnownLogins({HOST: Login(registry_token=Secret("as-it-is"))}))
    assert other.asked[-1].headers["authorization"] == "Bearer as-it-is"
    assert other.count("GET", "/token") == 0


def test_a_login_is_asked_for_only_when_the_registry_wants_one() -> None:
    class Never:
        def login_for(self, repository: RepositoryName) -> Login:
            raise AssertionError("nobody asked")

    memory_registry_client(MemoryRegistry(), Never(), POLICY).push_blob(REPOSITORY, BLOB, Content(DATA))


@pytest.mark.parametrize(
    "challenge",
    [
        "",
        'Digest realm="x"',
        'Bearer realm="http://host.example/token"',
        'Bearer realm="https://127.0.0.1/token"',
        'Bearer realm="nonsense"',
        "Bearer",
        'Bearer realm="https://nobody.example/token"',
    ],
)
def test_challenges_that_cannot_be_answered_are_refused_and_nothing_is_sent(challenge: str) -> None:
    registry = MemoryRegistry()
    network = MemoryNetwork({HOST: registry})
    registry.misbehave(*[Fault("HEAD", "", status=401, headers=(("www-authenticate", challenge),)) for _ in range(9)])
    fault = refused(network, LOGINS)
    assert isinstance(fault, UnavailableError)
    assert not [headers for url, headers in network.asked if "authorization" in headers and "nobody" not in url]


@pytest.mark.parametrize(
    "content", [b"", b"{}", b"[]", b'{"token":3}', b'{"token":"a\\r\\nb"}', b'{"token":"a b"}', b"x" * (2 << 20)], ids=range(7)
)
def test_token_services_that_give_no_token(content: bytes) -> None:
    registry = MemoryRegistry(gate=TokenGate(f"https://{HOST}"))
    registry.misbehave(Fault("GET", "/token", status=200, content=content))
    assert refused(registry).reason == "bad-answer"


def test_a_mount_that_is_not_allowed_becomes_an_upload() -> None:
    registry = MemoryRegistry()
    registry.misbehave(Fault("POST", "mount=", status=403))
    client = memory_registry_client(registry, policy=POLICY)
    assert client.push_blob(REPOSITORY, BLOB, Content(DATA), "team/private") is BlobOutcome.UPLOADED


# What refers to an image


def test_the_list_under_the_tag_survives_another_writer() -> None:
    registry = MemoryRegistry(RegistryTraits(referrers=False))
    client = memory_registry_client(registry, policy=POLICY)
    server = Contract(client, REPOSITORY)
    image = push_image(server, "subject")
    mine = attach(server, image, b"mine", "a/b")
    theirs = attach(server, image, b"theirs", "a/b")
    # The other writer has read before us and writes after us: our row is gone, and must come back.
    document = as_document(encode_index(Index((theirs,))), media_types.INDEX)
    client.push_manifest(REPOSITORY, str(document.digest), document)
    overtaken = describe("", encode_index(Index((theirs, mine)))).digest
    told = (("docker-content-digest", str(overtaken)),)
    registry.misbehave(Fault("PUT", "manifests/sha256-", status=201, headers=told))
    registry.tags(NAME)[fallback_tag(image.digest)] = str(document.digest)
    add_referrer(client, REPOSITORY, image.digest, mine)
    assert set(list_referrers(client, REPOSITORY, image.digest)) == {mine, theirs}


def test_a_list_that_never_keeps_our_row_is_an_error() -> None:
    registry = MemoryRegistry(RegistryTraits(referrers=False))
    client = memory_registry_client(registry, policy=POLICY)
    server = Contract(client, REPOSITORY)
    image = push_image(server, "subject")
    row = describe(media_types.MANIFEST, image.content)
    digest = describe("", encode_index(Index((row,)))).digest
    told = (("docker-content-digest", str(digest)),)
    registry.misbehave(*[Fault("PUT", "manifests/sha256-", status=201, headers=told) for _ in range(9)])
    with pytest.raises(ConflictError) as caught:
        add_referrer(client, REPOSITORY, image.digest, row)
    assert caught.value.reason == "referrers-contended"


def test_only_absence_is_an_empty_list() -> None:
    registry = MemoryRegistry(RegistryTraits(referrers=False))
    client = memory_registry_client(registry, policy=POLICY)
    image = push_image(Contract(client, REPOSITORY), "subject")
    assert list_referrers(client, REPOSITORY, image.digest) == ()
    for status, reason in ((403, "denied"), (401, "unauthorized"), (400, "registry-refusal")):
        registry.misbehave(Fault("GET", "manifests/sha256-", status=status))
        with pytest.raises(UnavailableError) as caught:
            list_referrers(client, REPOSITORY, image.digest)
        assert caught.value.reason == reason
    client.push_manifest(REPOSITORY, fallback_tag(image.digest), image)
    assert reason_of(lambda: list_referrers(client, REPOSITORY, image.digest)) == "not-referrers"
