"""A day in the life of a repository service: `make demo-repo`, or `… ARGS=--serve` to look around afterwards.

Starts a signer and the service on this machine alone, publishes, breaks one architecture, retries, is refused by the gate,
withdraws, restores with a second person, rotates keys, goes back, and loses a file.  Each step is looked at on its page: what
must be told there is looked for, and its address is printed.  Everything lies below the directory given as the first argument.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import html
import io
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from apkiln.formats.apk.contents import PackageInfo
from apkiln.formats.apk.package_writer import PackageDraft, write_package
from apkiln.formats.archive.entry import Entry, EntryType
from apkiln.formats.deflate.codec import canonical_codec
from apkiln.system.files import DiskFiles
from apkiln.system.signer import generate_key_pair, write_key_pair

USUAL = "build/demo-repo"
REPOSITORY = "os/musl"
ARCHES = ("x86_64", "aarch64")
SECRETS = {"farm": "the secret of the build farm", "ada": "the secret of ada", "grace": "the secret of grace"}
VERBS = {
    "farm": ("publish",),
    "ada": ("publish", "withdraw", "restore", "key"),
    "grace": ("approve", "read"),
}
OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))
Look = Callable[[str, str], None]
"""Called with a name and an address for each page of the story."""


class Stopped(Exception):
    """Something was not as the story says."""


class Made(NamedTuple):
    """A package file."""

    info: PackageInfo
    data: bytes

    @property
    def digest(self) -> str:
        return hashlib.sha256(self.data).hexdigest()

    @property
    def declared(self) -> dict[str, object]:
        info = self.info
        return {"arch": info.arch, "name": info.name, "version": info.version, "sha256": self.digest, "size": len(self.data)}


def made(
    name: str,
    version: str,
    arch: str,
    description: str,
    *,
    origin: str = "",
    depends: Sequence[str] = (),
    provides: Sequence[str] = (),
    files: Mapping[str, str] | None = None,
) -> Made:
    """A package with small files; equal arguments give equal bytes."""
    contents = {path: text.encode() for path, text in (files or {f"usr/share/doc/{name}/README": f"{description}\n"}).items()}
    folders = {str(parent) for path in contents for parent in list(Path(path).parents)[:-1]}
    entries = tuple(Entry(folder, EntryType.DIRECTORY, 0o755) for folder in sorted(folders))
    entries += tuple(Entry(path, EntryType.FILE, 0o644, size=len(data)) for path, data in sorted(contents.items()))
    info = PackageInfo(
        name, version, arch, description, f"https://example.org/{origin or name}", "Apache-2.0", origin or name,
        "Demo <demo@example.org>", build_date=1_764_000_000, depends=tuple(depends), provides=tuple(provides),
    )  # fmt: skip
    out = io.BytesIO()
    written = write_package(
        PackageDraft(info, entries), lambda path: iter([contents[path]]), canonical_codec(), io.BytesIO(), out.write
    )
    return Made(written.info, out.getvalue())


def everywhere(name: str, version: str, description: str, **more: Any) -> list[Made]:
    """The same for every architecture."""
    return [made(name, version, arch, description, **more) for arch in ARCHES]


def zlib(version: str) -> list[Made]:
    """A library and its development package."""
    upstream = version.split("-")[0]
    library = everywhere(
        "zlib", version, "A compression and decompression library", provides=[f"so:libz.so.1={upstream}"],
        files={f"usr/lib/libz.so.{upstream}": "not really a library\n" * 200},
    )  # fmt: skip
    development = everywhere(
        "zlib-dev",
        version,
        "Headers of zlib",
        origin="zlib",
        depends=[f"zlib={version}"],
        files={"usr/include/zlib.h": "/* zlib */\n"},
    )
    return library + development


def openssl(version: str) -> list[Made]:
    """A library in three packages."""
    upstream = version.split("-")[0]
    crypto = everywhere(
        "libcrypto3", version, "Cryptography of OpenSSL", origin="openssl", depends=["so:libz.so.1"],
        provides=[f"so:libcrypto.so.3={upstream}"], files={"usr/lib/libcrypto.so.3": "c" * 9000},
    )  # fmt: skip
    tls = everywhere(
        "libssl3", version, "TLS of OpenSSL", origin="openssl", depends=["so:libcrypto.so.3", "so:libz.so.1"],
        provides=[f"so:libssl.so.3={upstream}"], files={"usr/lib/libssl.so.3": "s" * 5000},
    )  # fmt: skip
    program = everywhere(
        "openssl", version, "Toolkit for TLS and certificates", depends=["so:libcrypto.so.3", "so:libssl.so.3"],
        provides=[f"cmd:openssl={version}"], files={"usr/bin/openssl": "#!/bin/sh\n", "etc/ssl/openssl.cnf": "[default]\n"},
    )  # fmt: skip
    return crypto + tls + program


def curl(version: str, *more: str) -> list[Made]:
    """A program that needs the others."""
    return everywhere(
        "curl", version, "Transfers data from and to servers", depends=["so:libssl.so.3", "so:libz.so.1", *more],
        provides=[f"cmd:curl={version}"], files={"usr/bin/curl": "#!/bin/sh\n"},
    )  # fmt: skip


class Service:
    """Signer and service as processes of their own, and someone who talks to them."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._processes: list[subprocess.Popen[bytes]] = []

    def start(self) -> None:
        """Until it is ready."""
        self._configure()
        keys = [str(self.home / f"keys/os-{year}.rsa") for year in (2026, 2027)]
        self._run("-m", "apkiln.system.signer_process", "--socket", str(self.home / "signer.sock"), *keys)
        wait("the signer", (self.home / "signer.sock").exists)
        self._run("-m", "apkiln.cli.main", "repo", "serve", "--config", str(self.home / "service.toml"))
        wait("the service", lambda: self.request("GET", "/readyz")[0] == 200)

    def _configure(self) -> None:
        (self.home / "keys").mkdir(mode=0o700)
        for year in (2026, 2027):
            path = self.home / f"keys/os-{year}.rsa"
            write_key_pair(generate_key_pair(f"os-{year}.rsa.pub", 3072), path, path.with_name(f"{path.name}.pub"), DiskFiles())
        text = f'listen = "127.0.0.1:{self.port}"\nsigner = "signer.sock"\nreconcile_seconds = 1\n'
        text += f'[[repository]]\nname = "{REPOSITORY}"\narches = {json.dumps(ARCHES)}\nkeys = ["keys/os-2026.rsa"]\n'
        for name, secret in SECRETS.items():
            digest = hashlib.sha256(secret.encode()).hexdigest()
            text += f'[[token]]\nname = "{name}"\nsha256 = "{digest}"\nverbs = {json.dumps(VERBS[name])}\n'
        (self.home / "service.toml").write_text(text)

    def _run(self, *arguments: str) -> None:
        with (self.home / "log").open("ab") as log:
            self._processes.append(subprocess.Popen([sys.executable, *arguments], stdout=log, stderr=log))

    def stop(self) -> None:
        """The service first, then the signer."""
        for process in reversed(self._processes):
            process.send_signal(signal.SIGTERM)
            process.wait(timeout=60)

    def request(self, method: str, path: str, who: str = "", body: bytes | None = None, **headers: str) -> tuple[int, bytes]:
        """Status and body; every status is an answer."""
        asked = urllib.request.Request(self.url + path, data=body, method=method, headers=headers)
        if who:
            asked.add_header("Authorization", f"Bearer {SECRETS[who]}")
        if body is not None and "Content-Type" not in headers:
            asked.add_header("Content-Type", "application/octet-stream")
        try:
            with OPENER.open(asked, timeout=60) as answer:
                return answer.status, answer.read()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read()
        except urllib.error.URLError:
            return 0, b""

    def call(self, who: str, method: str, path: str, value: object = None, **headers: str) -> tuple[int, Any]:
        """The interface: JSON both ways."""
        body = None if value is None else json.dumps(value).encode()
        kind = {"Content-Type": "application/json"} if body is not None else {}
        status, answer = self.request(method, f"/{REPOSITORY}/api/v1{path}", who, body, **kind, **headers)
        return status, json.loads(answer)

    def publish(self, packages: Sequence[Made], reason: str, who: str = "farm", **manifest: object) -> dict[str, Any]:
        """Open, upload what is missing, commit; the transaction as it ended, with what had to be uploaded."""
        files = [package.declared for package in packages]
        status, opened = self.call(who, "POST", "/tx", {"manifest": {"files": files, **manifest}, "reason": reason})
        expect(status == 201, f"opening: {opened}")
        by_digest = {package.digest: package for package in packages}
        for digest in opened["missing"]:
            status, answer = self.request("PUT", f"/{REPOSITORY}/api/v1/blobs/{digest}", who, by_digest[digest].data)
            expect(status == 201, f"uploading: {answer!r}")
        ended: dict[str, Any] = self.call(who, "POST", f"/tx/{opened['tx']}/commit")[1]
        return {**ended, "uploaded": len(opened["missing"])}

    def change(self, who: str, manifest: Mapping[str, object], reason: str) -> dict[str, Any]:
        """A transaction without files."""
        status, opened = self.call(who, "POST", "/tx", {"manifest": manifest, "reason": reason})
        expect(status == 201, f"opening: {opened}")
        found: dict[str, Any] = self.call(who, "POST", f"/tx/{opened['tx']}/commit")[1]
        return found

    def command(self, *arguments: str) -> Any:
        """An `apkiln repo` command beside the server; what it says."""
        command = [sys.executable, "-m", "apkiln.cli.main", "repo", *arguments]
        environment = {**os.environ, "USER": "ada"}
        environment.pop("SUDO_USER", None)
        options = ["--config", str(self.home / "service.toml"), "--json", "-q"]
        process = subprocess.run([*command, *options], stdout=subprocess.PIPE, env=environment, check=False)
        expect(process.returncode == 0, f"repo {arguments[0]}")
        return json.loads(process.stdout)


class Day:
    """The story, told step by step."""

    def __init__(self, service: Service, look: Look) -> None:
        self.service = service
        self._look = look
        self._steps = 0
        self.pages: list[tuple[str, str]] = []

    def say(self, title: str, text: str = "") -> None:
        self._steps += 1
        print(f"\n{self._steps:2}. {title}" + (f"\n    {text}" if text else ""), flush=True)

    def show(self, name: str, path: str, *words: str) -> None:
        """A page must be there and tell these words; prints where it is."""
        place = f"/{REPOSITORY}/{path}" if path != "/" else "/"
        status, body = self.service.request("GET", place, Accept="text/html")
        text = " ".join(html.unescape(re.sub(r"<[^>]*>", " ", body.decode())).split())
        missing = [word for word in words if word not in text]
        expect(status == 200 and not missing, f"page {place} (status {status}) does not say {missing}")
        print(f"    → {self.service.url}{place}", flush=True)
        self.pages.append((name, self.service.url + place))
        self._look(name, self.service.url + place)

    def lines(self) -> list[str]:
        """What the current index of each architecture lists, from its signed sums."""
        _, body = self.service.request("GET", f"/{REPOSITORY}/packages.sha256")
        return sorted(line.split("  ")[1] for line in body.decode().splitlines())

    def generation(self) -> int:
        number: int = json.loads(self.service.request("GET", f"/{REPOSITORY}/current")[1])["generation"]
        return number

    def approve(self, number: int, reason: str) -> dict[str, Any]:
        found: dict[str, Any] = self.service.call("grace", "POST", f"/approve/{number}", {"reason": reason})[1]
        return found


def day(service: Service, look: Look) -> Day:
    """From morning to evening.  Stopped when anything is not as it should be."""
    today = Day(service, look)
    morning(today)
    half_a_build(today)
    refused(today)
    withdrawn_and_restored(today)
    rotation(today)
    back_again(today)
    lost_file(today)
    evening(today)
    return today


def morning(today: Day) -> None:
    today.say("The repository is new: generation 1 is empty, and signed by a process of its own.")
    today.show("empty", "", "Current generation 1", "os-2026.rsa.pub")
    today.say("The build farm publishes zlib, openssl and curl for two architectures.")
    for packages in (zlib("1.3.1-r0"), openssl("3.5.1-r0"), curl("8.16.0-r0")):
        done = today.service.publish(packages, "first build")
        expect(done["state"] == "live" and done["receipt"]["generation"] == today.generation(), f"publishing: {done}")
        print(f"    transaction {done['tx']}: {len(packages)} files, receipt in generation {done['receipt']['generation']}")
    today.show("packages", "-/packages", "6 packages listed", "A compression and decompression library")
    today.show("dependencies", "-/packages/zlib/1.3.1-r0/x86_64", "have a dependency that this one answers", "curl-8.16.0-r0")
    today.show("search", "-/packages?q=so%3Alibz", "found for")


def half_a_build(today: Day) -> None:
    fixed = zlib("1.3.1-r1")
    build = {"origin": "zlib", "version": "1.3.1-r1", "packages": ["zlib", "zlib-dev"], "arches": ARCHES}
    here = [package for package in fixed if package.info.arch == "x86_64"]
    before, generation = today.lines(), today.generation()
    today.say(
        "A security fix of zlib is built; the aarch64 build breaks.",
        "Its x86_64 half alone is refused: nothing of it is in any index, and the farm is told so.",
    )
    done = today.service.publish(here, "fix of a security hole", builds=[build])
    expect(done["state"] == "rejected", f"half a build went live: {done}")
    expect({finding["code"] for finding in done["findings"]} == {"build-incomplete"}, f"{done['findings']}")
    expect((today.lines(), today.generation()) == (before, generation), "a refused transaction changed an index")
    today.show("half-a-build", f"-/transactions/{done['tx']}", "build-incomplete", "the build has no", "for aarch64")
    today.say("aarch64 is built again, and nothing else: the x86_64 files are there already and are named by their digests.")
    done = today.service.publish(fixed, "fix of a security hole, second try", builds=[build])
    expect(done["state"] == "live" and done["uploaded"] == 2, f"the retry: {done}")
    expect({f"{arch}/zlib-1.3.1-r1.apk" for arch in ARCHES} <= set(today.lines()), "both architectures at once")
    number = done["receipt"]["generation"]
    print(f"    {done['uploaded']} of {len(fixed)} files uploaded; both architectures in generation {number}")
    today.show("retry", f"-/transactions/{done['tx']}", "second try")
    today.show("generation", f"-/generations/{number}", "+ 1.3.1-r1")


def refused(today: Day) -> None:
    today.say("A curl that needs a library which nobody has is refused before anybody can install it.")
    done = today.service.publish(curl("8.17.0-r0", "so:libnghttp3.so.9"), "new release")
    expect({finding["code"] for finding in done["findings"]} == {"closure"}, f"{done}")
    today.show("refused", f"-/transactions/{done['tx']}", "nothing provides `so:libnghttp3.so.9`")


def withdrawn_and_restored(today: Day) -> None:
    today.say("openssl 3.5.2 goes live, crashes, and is withdrawn: the whole build, on both architectures, with the reason.")
    expect(today.service.publish(openssl("3.5.2-r0"), "new release")["state"] == "live", "openssl 3.5.2")
    build = {"origin": "openssl", "version": "3.5.2-r0", "replaced_by": "3.5.1-r0"}
    done = today.service.call("ada", "POST", "/withdraw", {"builds": [build], "reason": "crashes in the handshake"})[1]
    expect(done["state"] == "live" and not [line for line in today.lines() if "3.5.2" in line], f"the withdrawal: {done}")
    path = f"/{REPOSITORY}/x86_64/openssl-3.5.2-r0.apk"
    expect(today.service.request("GET", path)[0] == 410, "the file answers 410 Gone")
    today.show("withdrawn", "-/withdrawn", "openssl-3.5.2-r0", "crashes in the handshake")
    today.say("Publishing it again does not help, and restoring it takes two: who asks for it cannot agree to it.")
    again = today.service.publish(openssl("3.5.2-r0"), "try again")
    expect(again["state"] == "rejected", "what was withdrawn came back")
    waiting = today.service.call("ada", "POST", "/restore", {"builds": [build], "reason": "it was the test that crashed"})[1]
    expect(waiting["state"] == "verified", f"{waiting}")
    today.show("waiting", f"-/transactions/{waiting['tx']}", "A second person must agree")
    expect(today.approve(waiting["tx"], "read the report")["state"] == "live", "the restore")
    expect(today.service.request("GET", path)[0] == 200, "the file is back")
    today.show("restored", "-/packages/openssl", "3.5.2-r0")


def rotation(today: Day) -> None:
    today.say("The signing key is rotated: published first, then both sign, then the new one alone, and the old one is revoked.")
    new = today.service.home / "keys/os-2027.rsa.pub"
    steps = (
        (("--add", str(new)), 1),
        (("--promote", new.name), 2),
        (("--retire", "os-2026.rsa.pub"), 1),
        (("--revoke", "os-2026.rsa.pub"), 1),
    )
    for arguments, signatures in steps:
        waiting = today.service.command("keys", *arguments, "--reason", "yearly rotation")
        expect(today.approve(waiting["tx"], "as planned")["state"] == "live", f"{arguments}")
        index = json.loads(today.service.request("GET", f"/{REPOSITORY}/generation.json.sig")[1])
        names = [item["key"] for item in index]
        expect(len(names) == signatures, f"after {arguments} signed by {names}")
        step = f"{arguments[0]} {Path(arguments[1]).name}"
        print(f"    repo keys {step}: generation {today.generation()} signed by {', '.join(names)}")
    today.show("keys", "-/keys", "os-2026.rsa.pub revoked", "os-2027.rsa.pub active")


def back_again(today: Day) -> None:
    before = today.generation()
    number = next(item for item in range(before, 0, -1) if "openssl-3.5.2-r0" not in sums(today, item))
    today.service.call("ada", "POST", "/snapshots", {"name": "before", "generation": number})
    today.say(f"Everything goes back to what generation {number} listed; in a new generation, as numbers only grow.")
    done = today.service.change("ada", {"rollback": number}, "openssl 3.5.2 is still not right")
    expect(done["state"] == "live", f"the way back: {done}")
    expect(sums(today, done["receipt"]["generation"]) == sums(today, number), "the new generation lists what the old one did")
    expect("openssl-3.5.2-r0" in sums(today, before), "frozen generations stay as they were")
    today.show("back", f"-/differences?from={before}&to={done['receipt']['generation']}", "openssl", "− 3.5.2-r0")
    today.show("generations", "-/generations", f"go back to generation {number}")


def sums(today: Day, generation: int) -> str:
    """The files that a frozen generation lists."""
    return today.service.request("GET", f"/{REPOSITORY}@{generation}/packages.sha256")[1].decode()


def lost_file(today: Day) -> None:
    done = today.service.command("gc", "--large")
    today.say(f"A sweep marks {len(done['marked'])} blobs that nothing needs: uploads as they came, before they were signed.")
    wait("the comparison", lambda: b"No difference is open" in today.service.request("GET", f"/{REPOSITORY}/-/incidents")[1])
    today.say("A disk loses a file that the index lists.  The comparison finds it, and forgets it when the file is back.")
    body = today.service.request("GET", f"/{REPOSITORY}/packages.sha256")[1].decode()
    digest = next(line.split("  ")[0] for line in body.splitlines() if line.endswith("x86_64/curl-8.16.0-r0.apk"))
    blob = today.service.home / f"blobs/sha256/{digest[:2]}/{digest[2:]}"
    aside = today.service.home / "lost"
    shutil.move(blob, aside)
    page = f"/{REPOSITORY}/-/incidents"
    wait("the incident", lambda: b"blob-missing" in today.service.request("GET", page)[1])
    today.show("incident", "-/incidents", "blob-missing", "urgent", "curl-8.16.0-r0")
    shutil.move(aside, blob)
    wait("its end", lambda: b"No difference is open" in today.service.request("GET", page)[1])
    today.show("no-incident", "-/incidents", "No difference is open")


def evening(today: Day) -> None:
    today.say("The day is over: every step is in the ledger, with who, when and why.")
    today.show("transactions", "-/transactions", "yearly rotation", "rejected", "live")
    today.show("overview", "", "Signed by", "os-2027.rsa.pub")


def expect(holds: bool, what: str) -> None:
    if not holds:
        raise Stopped(what)


def wait(what: str, condition: Callable[[], bool], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        expect(time.monotonic() < deadline, f"{what} did not come in {seconds:.0f} s")
        time.sleep(0.1)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def running(home: Path) -> Iterator[Service]:
    """A service in a fresh directory; a directory that is not one of ours is left alone."""
    if home.exists():
        expect((home / "service.toml").exists(), f"{home} exists and is none of this demo")
        shutil.rmtree(home)
    home.mkdir(parents=True)
    service = Service(home.resolve())
    try:
        service.start()
        yield service
    finally:
        service.stop()


def main() -> int:
    parser = argparse.ArgumentParser(description="a day in the life of a repository service")
    parser.add_argument("directory", nargs="?", default=USUAL)
    parser.add_argument("--serve", action="store_true", help="keep the service up afterwards, until Ctrl-C")
    arguments = parser.parse_args()
    try:
        with running(Path(arguments.directory)) as service:
            begun = time.monotonic()
            today = day(service, lambda name, address: None)
            print(f"\nEverything was as it should be: {len(today.pages)} pages in {time.monotonic() - begun:.1f} s.")
            if arguments.serve:
                print(f"\nLook around: {service.url}/   (Ctrl-C ends it)", flush=True)
                with contextlib.suppress(KeyboardInterrupt):
                    signal.pause()
    except Stopped as error:
        print(f"\nthe demo stopped: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
