"""Pages as a visitor without a screen sees them: every link leads somewhere, nothing foreign runs, nothing hostile gets out."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from itertools import pairwise

import pytest
from tests.page_visitor import Answer, Document, Visitor
from tests.sample_packages import sample_package, sample_signer
from tests.service_workshop import ALICE, BOB, created, declared, key_change, places, publish, selection

from apkiln.core.digest import Digest
from apkiln.repository.equipment import Policy
from apkiln.repository.expectations import LockedImage
from apkiln.repository.ledger.actions import Finding, Manifest, Named, Opened, Rejected, Uploaded, Verified
from apkiln.repository.ledger.packages import Key, Package
from apkiln.repository.ledger.rows import Author
from apkiln.repository.reconciling import Difference
from apkiln.repository.service import RepositoryService
from apkiln.web.pages.site import ROUTES, SECURITY
from apkiln.web.tokens import Token

ARCHES = ("x86_64", "aarch64")
HOSTILE = (
    '</title></code><script>alert(1)</script><img src=x onerror="alert(2)">\'"><a href="javascript:alert(3)">‮{{ 11111*11111 }}'
)


@pytest.fixture(scope="module")
def busy() -> RepositoryService:
    """A repository in which everything has happened."""
    service = created(places(), Policy(sign_packages=False), ARCHES)
    libraries = [
        sample_package("lib++", "1.0-r0", arch, provides=["so:lib.so.1=1"], description="a library & more") for arch in ARCHES
    ]
    app = sample_package("app", "1.0-r0", depends=["so:lib.so.1", "!rival"], files={"usr/bin/app": b"x", "usr/bin/b": b""})
    publish(service, *libraries)
    publish(service, app, sample_package("app-doc", "1.0-r0", "noarch", origin="app", install_if=["app=1.0-r0", "docs"]))
    publish(service, sample_package("app", "2.0-r0", depends=["so:none.so.9"]))
    service.run(ALICE, Manifest(withdraw=(selection(app, replaced_by="another"),)))
    assert service.run(ALICE, Manifest(rollback=2)).step.value == "live"
    restoring = service.run(ALICE, Manifest(restore=(selection(app),)))
    service.approve(BOB, restoring.number)
    lone = sample_package("lone")
    publish(service, lone)
    service.run(ALICE, Manifest(withdraw=(selection(lone),)))
    assert service.run(ALICE, Manifest(restore=(selection(lone),))).step.value == "verified"
    change = service.run(ALICE, Manifest(keys=(key_change(sample_signer("os-new.rsa.pub"), "staged"),)))
    service.approve(BOB, change.number)
    service.open(ALICE, Manifest(files=(declared(sample_package("open")),)))
    service.abort(ALICE, service.open(ALICE, Manifest(rollback=1)).number)
    service.append(ALICE, lambda state: (Named("release-1", 2),))
    return service


@pytest.fixture(scope="module")
def visitor(busy: RepositoryService) -> Visitor:
    found = Visitor(busy)
    differences = [Difference("blob-missing", "0" * 64, "app-1.0-r0"), Difference("arch-pending", "zlib-1 aarch64", "since 4")]
    found.hosted["os"].incidents.take(differences, 1_700_000_000_000)
    return found


def links(document: Document) -> Iterator[str]:
    for element in document.elements:
        yield from (element.attributes[name] for name in ("href", "src", "action") if name in element.attributes)


def crawled(visitor: Visitor, start: str = "/") -> dict[str, Answer]:
    """Every page and file that a visitor can get to from a page."""
    found: dict[str, Answer] = {}
    queue = [start]
    while queue:
        address = queue.pop()
        if address in found or address.startswith(("http://", "https://")):
            continue
        found[address] = answer = visitor.get(address)
        if answer.headers["content-type"].startswith("text/html"):
            queue += [link.partition("#")[0] or address for link in links(answer.document)]
    return found


@pytest.fixture(scope="module")
def site(visitor: Visitor) -> dict[str, Answer]:
    return crawled(visitor)


@pytest.fixture(scope="module")
def documents(site: dict[str, Answer]) -> dict[str, Document]:
    return {
        address: answer.document for address, answer in site.items() if answer.headers["content-type"].startswith("text/html")
    }


def test_every_link_leads_somewhere(site: dict[str, Answer]) -> None:
    assert {address: answer.status for address, answer in site.items() if answer.status != 200} == {}
    pages = [address.partition("?")[0].split("/-/")[-1].split("/") for address in site if address.startswith("/os/-/")]
    for pattern, _ in ROUTES[1:]:
        assert any(
            len(parts) == len(pattern) and all(wanted in ("*", part) for wanted, part in zip(pattern, parts, strict=True))
            for parts in pages
        ), f"no page links to {pattern}"
    assert any(address.endswith(".apk") for address in site)


def test_nothing_runs_and_nothing_comes_from_elsewhere(site: dict[str, Answer], documents: dict[str, Document]) -> None:
    for address, document in documents.items():
        assert site[address].headers["content-security-policy"] == SECURITY[0][1].decode()
        assert "default-src 'none';" in site[address].headers["content-security-policy"]
        assert "script" not in site[address].headers["content-security-policy"]
        for element in document.elements:
            assert element.tag not in ("script", "iframe", "object", "embed", "base", "style"), address
            assert not [name for name in element.attributes if name.startswith("on") or name == "style"], address
            if element.tag in ("link", "img", "form"):
                assert all(link.startswith("/") for link in links_of(element)), address


def attributes(document: Document, name: str) -> list[str]:
    return [element.attributes[name] for element in document.elements if name in element.attributes]


def links_of(element: object) -> list[str]:
    attributes: dict[str, str] = element.attributes  # type: ignore[attr-defined]
    return [attributes[name] for name in ("href", "src", "action") if name in attributes]


def test_pages_can_be_used_without_seeing_them(documents: dict[str, Document]) -> None:
    titles: dict[str, set[str]] = {}
    for address, document in documents.items():
        assert document.all("html")[0].attributes["lang"] == "en"
        assert len(document.all("h1")) == len(document.all("main")) == 1, address
        levels = [int(element.tag[1]) for element in document.all("h1", "h2", "h3", "h4")]
        assert all(after <= before + 1 for before, after in pairwise(levels)), address
        ids = attributes(document, "id")
        assert len(ids) == len(set(ids)), address
        labelled = {element.attributes["for"] for element in document.all("label")}
        fields = [element.attributes["id"] for element in document.all("input", "select", "textarea")]
        assert set(fields) <= labelled, address
        assert set(attributes(document, "aria-labelledby")) <= set(ids), address
        assert len(document.all("caption")) == len(document.all("table")), address
        assert all(element.attributes.get("scope") in ("col", "row") for element in document.all("th")), address
        assert all("alt" in element.attributes for element in document.all("img")), address
        assert all(element.attributes.get("aria-label") for element in document.all("nav")), address
        landmarks = attributes(document, "aria-label")
        assert len(landmarks) == len(set(landmarks)), address
        assert document.all("a")[0].attributes["href"] == "#content", address
        titles.setdefault(" ".join(document.text.split(" · ")[:1]), set()).add(address.partition("?")[0].rstrip("/"))
    assert {title: found for title, found in titles.items() if len(found) > 1} == {}, "pages with the same title"


def test_where_one_is_shows_in_the_navigation(documents: dict[str, Document]) -> None:
    for address, document in documents.items():
        if address.startswith("/os"):
            here = [element for element in document.all("a") if element.attributes.get("aria-current") == "page"]
            assert len(here) == 1, address


def test_what_pages_say(visitor: Visitor) -> None:
    def words(address: str) -> str:
        answer = visitor.get(address)
        assert answer.status == 200, address
        return answer.document.text

    assert "2 incidents are open" in words("/os/")
    assert "3 packages listed" in words("/os/-/packages"), "the withdrawn one is not"
    assert "1 package found for “so:lib.so”" in words("/os/-/packages?q=so%3Alib.so")
    assert "2 packages listed for aarch64" in words("/os/-/packages?arch=aarch64"), "its own and the noarch one"
    assert "lone" in words("/os/-/packages?q=lone") and "not listed" in words("/os/-/packages?q=lone")
    assert "lone-1.0-r0" in words("/os/-/withdrawn")
    version = words("/os/-/packages/lib++/1.0-r0/x86_64")
    assert "1 current package for x86_64 has a dependency that this one answers" in version
    assert "app-1.0-r0 so:lib.so.1" in version
    assert "published generation 2" in version and "transaction" in version and "alice" in version, "who published it"
    assert "No lock that is watched over here names it" in version
    lib = Key("x86_64", "lib++", "1.0-r0")
    visitor.application.site.shelves["os"].images = (LockedImage("web.lock.json", (lib,)),)
    assert "In images web.lock.json" in words("/os/-/packages/lib++/1.0-r0/x86_64")
    gone = words("/os/-/packages/lone/1.0-r0/x86_64")
    assert "withdrawn generation" in gone and gone.index("published generation") < gone.index("withdrawn generation")
    app = words("/os/-/packages/app/1.0-r0/x86_64")
    assert "so:lib.so.1 lib++-1.0-r0" in app and "!rival nothing, as it should be" in app
    assert "app-doc-1.0-r0" in app, "what comes along with it"
    assert "/usr/bin/app file 0644" in words("/os/-/packages/app/1.0-r0/x86_64/files")
    assert "nothing provides `so:none.so.9`" in words("/os/-/transactions/" + number_of(visitor, "rejected"))
    assert "A second person must agree" in words("/os/-/transactions/" + number_of(visitor, "verified"))
    assert "urgent" in words("/os/-/incidents")
    assert "2 files are new, 0 are no longer listed" in words("/os/-/differences?from=0&to=2")
    assert "lib++ x86_64 − 1.0-r0 –" in words("/os/-/differences?from=2&to=0")
    assert "release-1" in words("/os/-/generations/2")
    assert "os-new.rsa.pub staged" in words("/os/-/keys")


def number_of(visitor: Visitor, step: str) -> str:
    """A transaction at that step, from the list."""
    found = re.search(r"/os/-/transactions/(\d+)", visitor.get(f"/os/-/transactions?state={step}").text)
    assert found is not None
    return found[1]


def hostile_service() -> RepositoryService:
    service = created(places(), Policy(sign_packages=False))
    digest = hashlib.sha256(b"x").hexdigest()
    service.equipment.blobs.put(_digest(digest), [b"x"])
    package = Package(
        "x86_64", "a", "1-r0", digest, 1, digest, digest[:40], digest, description=HOSTILE,
        url="javascript:alert(1)//" + HOSTILE, license=HOSTILE, origin=HOSTILE, maintainer=HOSTILE, commit=HOSTILE,
        provides=(f"cmd:{HOSTILE}",), install_if=(HOSTILE,),
    )  # fmt: skip
    evil = Author(HOSTILE, HOSTILE)
    number = service.append(evil, lambda state: (Opened(Manifest(pending_allowed=True)),))[0].number
    service.append(evil, lambda state: (Uploaded(number),))
    service.append(evil, lambda state: (Verified(number, (package,)),))
    assert service.process(number).step.value == "live"
    refused = service.append(evil, lambda state: (Opened(Manifest(rollback=1)),))[0].number
    service.append(evil, lambda state: (Uploaded(refused),))
    service.append(evil, lambda state: (Rejected(refused, (Finding(HOSTILE, HOSTILE, HOSTILE, HOSTILE, (HOSTILE,)),)),))
    service.append(evil, lambda state: (Named(HOSTILE, 1),))
    return service


def _digest(text: str) -> Digest:
    return Digest.sha256(bytes.fromhex(text))


def test_strings_of_strangers_stay_strings() -> None:
    visitor = Visitor(hostile_service())
    visitor.hosted["os"].incidents.take([Difference(HOSTILE, HOSTILE, HOSTILE)], 1)
    wanted = crawled(visitor) | {
        f"/os/-/packages?q={query}": visitor.get(f"/os/-/packages?q={query}")
        for query in ("%3Cscript%3Ealert(1)%3C/script%3E", "%22%20onfocus=alert(1)%20autofocus=%22", "%FF%00%0d%0a")
    }
    seen = 0
    for address, answer in wanted.items():
        if not answer.headers["content-type"].startswith("text/html"):
            continue
        document = answer.document
        assert not document.all("script"), address
        for element in document.elements:
            assert not [name for name in element.attributes if name.startswith("on") or name == "autofocus"], address
            for name in ("href", "src", "action"):
                assert element.attributes.get(name, "/").startswith(("/", "#", "https://")), (address, element)
        assert all(ord(letter) >= 32 or letter == "\n" for letter in answer.text), address
        assert "‮" not in answer.text and "123454321" not in document.text, address
        seen += "<script>alert(1)</script>" in document.text
    assert seen >= 6, "the strings are shown as they are"


def test_pages_that_are_not_there(visitor: Visitor) -> None:
    for address in (
        "/os/-/nothing", "/os/-/packages/none", "/os/-/packages/app/9-r9/x86_64", "/os/-/packages/app/1.0-r0/x86_64/none",
        "/os/-/packages?page=2", "/os/-/packages?page=0", "/os/-/packages?page=x", "/os/-/packages?arch=vax",
        "/os/-/generations/0", "/os/-/generations/99", "/os/-/generations/x", "/os/-/generations?page=9", "/os/-/packages/",
        "/os/-/differences?from=99", "/os/-/differences?to=-1", "/os/-/transactions/0", "/os/-/transactions?state=none",
        "/os/-/../-/keys", "/os/-/packages/%2e%2e", "/os/-/packages/a%00b", "/os/-//keys", "/os/-/packages/%ff",
        "/-/../service.toml",
        "/os/-/packages?" + "q=a&" * 30, "/os/-/packages?q=" + "a" * 3000, f"/os/-/transactions/{'9' * 30}",
    ):  # fmt: skip
        answer = visitor.get(address, accept="text/html")
        assert answer.status == 404, address
        assert "Not found" in answer.document.text and "etag" not in answer.headers, address
    assert visitor.get("/nothing").headers["content-type"] == "application/json"
    assert "Not found" in visitor.get("/nothing", accept="text/html,*/*").document.text


def test_only_reading(visitor: Visitor) -> None:
    for address in ("/", "/os/", "/os/-/keys"):
        answer = visitor.get(address, "POST")
        assert (answer.status, answer.headers["allow"]) == (405, "GET, HEAD")
        head, whole = visitor.get(address, "HEAD"), visitor.get(address)
        assert (head.status, head.headers, head.body) == (200, whole.headers, b"")


def test_an_unchanged_page_is_not_sent_again() -> None:
    service = created()
    visitor = Visitor(service)
    first = visitor.get("/os/-/packages")
    assert first.headers["cache-control"] == "no-cache"
    for known in (first.headers["etag"], f'"other", {first.headers["etag"]}'):
        again = visitor.get("/os/-/packages", if_none_match=known)
        assert (again.status, again.body, again.headers["etag"]) == (304, b"", first.headers["etag"])
    assert visitor.get("/os/-/packages?page=1", if_none_match=first.headers["etag"]).status == 200
    publish(service, sample_package("a"))
    changed = visitor.get("/os/-/packages", if_none_match=first.headers["etag"])
    assert changed.status == 200 and "1 package listed" in changed.document.text
    before = visitor.get("/os/").headers["etag"]
    visitor.hosted["os"].incidents.take([Difference("ledger", "os")], 1)
    assert visitor.get("/os/", if_none_match=before).status == 200, "incidents are part of a page"


def test_style_is_kept_for_ever_under_its_version(visitor: Visitor) -> None:
    address = visitor.get("/").document.all("link")[0].attributes["href"]
    style = visitor.get(address)
    assert style.headers["content-type"] == "text/css; charset=utf-8" and "immutable" in style.headers["cache-control"]
    assert "immutable" not in visitor.get("/-/style.css").headers["cache-control"]
    assert visitor.get(address, if_none_match=style.headers["etag"]).status == 304
    assert visitor.get("/-/icon.svg").headers["content-type"] == "image/svg+xml"
    assert visitor.get("/-/base.html").status == 404


def test_private_repositories_ask_who_reads() -> None:
    reader = Token("reader", hashlib.sha256(b"secret").hexdigest(), ("read",))
    other = Token("other", hashlib.sha256(b"wrong").hexdigest(), ("publish",))
    visitor = Visitor(created(), tokens=[reader, other], private=True)
    assert visitor.get("/os/-/packages").status == 401
    assert visitor.get("/os/").headers["www-authenticate"] == 'Basic realm="os"'
    assert visitor.get("/os/-/packages", authorization="Bearer wrong").status == 403
    answer = visitor.get("/os/-/packages", authorization="Bearer secret")
    assert (answer.status, answer.headers["cache-control"]) == (200, "private, no-cache")
    assert "/os/" not in visitor.get("/").text and "None" not in visitor.get("/").text
    assert "/os/" in visitor.get("/", authorization="Bearer secret").text


def test_a_page_follows_only_what_runs_and_only_when_asked() -> None:
    service = created()
    package = sample_package("a")
    opened = service.open(ALICE, Manifest(files=(declared(package),)))
    visitor = Visitor(service)
    for place in ("transactions", f"transactions/{opened.number}"):
        assert not [item for item in visitor.get(f"/os/-/{place}").document.all("meta") if "http-equiv" in item.attributes]
        following = visitor.get(f"/os/-/{place}?follow=1").document
        assert [item.attributes["content"] for item in following.all("meta") if "http-equiv" in item.attributes] == ["2"]
    publish(service, package)
    service.upload(hashlib.sha256(package.data).hexdigest(), [package.data])
    service.commit(ALICE, opened.number)
    for place in ("transactions", f"transactions/{opened.number}"):
        assert "http-equiv" not in visitor.get(f"/os/-/{place}?follow=1").text


def test_long_lists_come_in_pages() -> None:
    service = created(places(), Policy(sign_packages=False, two_persons=False))
    for number in range(120):
        service.abort(ALICE, service.open(ALICE, Manifest(rollback=1), f"key {number}").number)
    visitor = Visitor(service)
    seen: list[str] = []
    address = "/os/-/transactions"
    while address:
        document = visitor.get(address).document
        seen += [link for link in links(document) if re.fullmatch(r"/os/-/transactions/\d+", link)]
        address = next((item.attributes["href"] for item in document.all("a") if item.attributes.get("rel") == "next"), "")
    numbers = [int(link.rsplit("/", 1)[1]) for link in seen]
    assert len(numbers) == len(set(numbers)) == 121 and numbers == sorted(numbers, reverse=True)
    aborted = visitor.get("/os/-/transactions?state=aborted&page=3").document.text
    assert "120 transactions aborted" in aborted and "Page 3 of 3" in aborted


def test_before_anything_is_published() -> None:
    from tests.service_workshop import started

    from apkiln.repository.ledger.actions import Configured

    service = started(places())
    service.append(ALICE, lambda state: (Configured(("x86_64",)),))
    visitor = Visitor(service)
    for address, answer in crawled(visitor).items():
        assert answer.status == 200 or address.endswith(".json"), address
    assert "Nothing is published yet" in visitor.get("/os/").document.text


def test_files_that_are_gone() -> None:
    service = created(places(), Policy(sign_packages=False, two_persons=False))
    package = sample_package("a")
    publish(service, package)
    visitor = Visitor(service)
    place = "/os/-/packages/a/1.0-r0/x86_64/files"
    service.equipment.blobs.remove(_digest(service.state.accepted[next(iter(service.state.accepted))].package.digest))
    gone = visitor.get(place)
    assert gone.status == 503 and "not in the store" in gone.document.text and "etag" not in gone.headers
    service.run(ALICE, Manifest(withdraw=(selection(package),)))
    assert "no longer served" in visitor.get(place).document.text
