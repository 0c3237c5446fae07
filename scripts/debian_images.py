"""Minimal Debian images, built, audited, used and compared in size: `make debian-images`.

Imports the packages of `examples/debian/*.yaml` from the apt sources of this machine, builds each image, audits it, does with
it what it is for (under `image run`, and under podman where that is on PATH), and compares its size with what mmdebstrap makes
of the smallest Debian and the same packages.  Ends with 1 where a use fails or a size is over its bound.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import yaml

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from scripts.debian_sizes import SuiteFiles, mmdebstrap_root, syft_difference, tar_size, unpacked_size  # noqa: E402

APKILN = Path(sys.executable).parent / "apkiln"
EXAMPLES = "examples/debian"
USUAL = "build/debian"
MMDEBSTRAP, DISTROLESS = ("mmdebstrap", 0.60), ("Distroless", 1.10)
"""Whose size is compared, and the largest part of it that an image may have, both uncompressed."""
PRUNED = ("--prune", "installer", "--overrides", f"{EXAMPLES}/overrides.yaml")
CERTIFICATES = "usr/share/ca-certificates/"
"""What Distroless makes a bundle of, in each of its images, without the rest of the package."""
SCRIPT = (
    "import ssl, json, sqlite3, hashlib; print(json.dumps([sqlite3.connect(':memory:').execute('select 6*7').fetchone()[0]]))"
)
NODE = "console.log(require('crypto').createHash('sha256').update('x').digest('hex').slice(0, 4))"
PORT = 8080
TOOL = "busybox-static"


class Failure(Exception):
    """A step that did not do what it should."""


class Engine(NamedTuple):
    """A way to start an image."""

    name: str
    run: Callable[..., subprocess.Popen[str]]
    """(image, words, entrypoint, user, bind, network) → the process, output on its stdout."""
    tools: Path
    """Directory with a statically linked program that the images do not have."""


class Place(NamedTuple):
    """Where everything lies."""

    directory: Path

    def own(self, *words: str | Path) -> list[str]:
        return [str(APKILN), *map(str, words), "--cache-dir", str(self.directory / "cache")]

    def image(self, name: str) -> Path:
        return self.directory / "images" / name


def call(command: list[str], **options: object) -> str:
    process = subprocess.run(command, stdout=subprocess.PIPE, text=True, cwd=ROOT, check=False, **options)  # type: ignore[call-overload]
    if process.returncode:
        raise Failure(f"`{' '.join(command[:4])} …` ended with {process.returncode}")
    return str(process.stdout)


class Others(NamedTuple):
    """What the images are compared with."""

    suite: str
    files: SuiteFiles
    distroless: dict[str, list[str]]
    """Image → its Debian packages."""


# Making


def packages_of(name: str) -> list[str]:
    """The Debian packages that a definition asks for; a bundle is part of its package."""
    text = (ROOT / EXAMPLES / f"{name}.yaml").read_text()
    return [
        item.removesuffix("-bundle")
        for item in re.findall(r"^    - (\S+)$", text[text.index("  packages:") :].split("\n\n")[0], re.MULTILINE)
    ]


def fill_repository(place: Place, names: list[str]) -> None:
    repository = place.directory / "repository"
    key = place.directory / "keys" / "debian.rsa"
    if not key.exists():
        call(place.own("repo", "init", repository, "--key-name", "debian.rsa"))
    wanted = sorted({TOOL, *(package for name in names for package in packages_of(name))})
    call(place.own("deb", "import", *wanted, "--repo", repository, "--key", key, *PRUNED, "-q"))

    shutil.rmtree(place.directory / "tools", ignore_errors=True)
    (tool,) = repository.glob(f"*/{TOOL}-[0-9]*.apk")
    call(place.own("apk", "extract", "-q", tool, "-C", place.directory / "tools"))


def build(place: Place, name: str) -> float:
    """Build and audit one image; seconds of the build."""
    shutil.rmtree(place.image(name), ignore_errors=True)
    definition = place.directory / f"{name}.yaml"
    definition.write_text((ROOT / EXAMPLES / f"{name}.yaml").read_text().replace(f"./{USUAL}", str(place.directory)))
    begun = time.monotonic()
    call(place.own("image", "build", definition, f"apkiln.local/debian/{name}:latest", place.image(name), "--arch", "host", "-q"))
    seconds = time.monotonic() - begun
    call(place.own("image", "audit", place.image(name), "-q"))
    return seconds


# Using


def sandbox(place: Place) -> Engine:
    def run(
        name: str, words: list[str], entrypoint: str = "", user: str = "", bind: str = "", network: bool = False
    ) -> subprocess.Popen[str]:
        command = place.own("image", "run", place.image(name))
        command += ["--entrypoint", entrypoint] if entrypoint else []
        command += ["--user", user] if user else []
        command += ["--bind", f"{bind}:rw"] if bind else []
        command += ["--network"] if network else []
        return started([*command, "--", *words])

    return Engine("image run", run, place.directory / "tools")


def podman(place: Place, short: Path) -> Engine:
    own = ["podman", "--root", f"{short}/store", "--runroot", f"{short}/run", "--storage-driver=vfs"]
    own += ["--cgroup-manager=cgroupfs", "--events-backend=file"]
    own += [f"--runtime={shutil.which('runc')}"] if shutil.which("runc") else []
    loaded: dict[str, str] = {}

    def run(
        name: str, words: list[str], entrypoint: str = "", user: str = "", bind: str = "", network: bool = False
    ) -> subprocess.Popen[str]:
        if name not in loaded:
            call(
                [
                    "skopeo",
                    "--insecure-policy",
                    "copy",
                    "-q",
                    f"oci:{place.image(name)}",
                    f"oci-archive:{short}/{name}.tar:{name}",
                ]
            )
            loaded[name] = (
                call([*own, "load", "-q", "-i", f"{short}/{name}.tar"], stderr=subprocess.DEVNULL).strip().rpartition(" ")[2]
            )
        command = [*own, "run", "--rm", "-i", "--ulimit", "nofile=4096:4096", "--ulimit", "nproc=8192:8192"]
        command += ["--network=host" if network else "--network=none"]
        command += ["--entrypoint", entrypoint] if entrypoint else []
        command += ["--user", user] if user else []
        command += ["-v", bind] if bind else []
        return started([*command, loaded[name], *words])

    return Engine("podman", run, place.directory / "tools")


def started(command: list[str]) -> subprocess.Popen[str]:
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=ROOT)


def said(process: subprocess.Popen[str], given: str = "") -> str:
    try:
        output = process.communicate(given, timeout=180)[0]
    except subprocess.TimeoutExpired:
        process.kill()
        raise Failure("it did not end") from None
    if process.returncode:
        raise Failure(f"it ended with {process.returncode}: {output.strip()[-300:]}")
    return output


def expect(output: str, text: str) -> str:
    if text not in output:
        raise Failure(f"`{text}` is not in what it said: {output.strip()[-300:]}")
    return text


def use_static(engine: Engine) -> str:
    """A statically linked program that the image does not have, shown in a directory: Debian's static busybox."""
    words = ["cat", "/etc/os-release", "/etc/ssl/certs/ca-certificates.crt", "/etc/timezone", "/etc/services"]
    output = said(engine.run("static", words, entrypoint="/tmp/tool/usr/bin/busybox", bind=f"{engine.tools}:/tmp/tool"))
    expect(output, "BEGIN CERTIFICATE")
    return expect(output, "ID=debian")


def use_python(engine: Engine) -> str:
    return expect(said(engine.run("python", ["-c", SCRIPT])), "[42]")


def use_java(engine: Engine) -> str:
    return expect(said(engine.run("java", ["-version"])), 'openjdk version "17')


def use_node(engine: Engine) -> str:
    return expect(said(engine.run("node", ["-e", NODE])), "2d71")


def use_nginx(engine: Engine) -> str:
    process = engine.run("nginx", ["-e", "stderr", "-c", "/etc/nginx/nonroot.conf"], network=True)
    try:
        for _ in range(100):
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{PORT}/", timeout=5) as page:
                    return expect(page.read().decode(), "<title>It works</title>")
            except OSError:
                if process.poll() is not None:
                    raise Failure(f"it ended with {process.returncode}: {said(process)[-300:]}") from None
                time.sleep(0.1)
        raise Failure("it does not answer")
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()


def use_postgres(engine: Engine) -> str:
    data = Path(tempfile.mkdtemp(prefix="pg"))
    try:
        data.chmod(0o777)
        bind = f"{data}:/var/lib/postgresql/data"
        where = "/var/lib/postgresql/data/main"
        expect(said(engine.run("postgres", ["-D", where], "/usr/lib/postgresql/15/bin/initdb", "postgres", bind)), "Success")
        return expect(
            said(engine.run("postgres", ["--single", "-D", where, "postgres"], user="postgres", bind=bind), "select 6*7\n"),
            '"42"',
        )
    finally:
        shutil.rmtree(data, ignore_errors=True)


USES: dict[str, Callable[[Engine], str]] = {
    "static": use_static, "python": use_python, "nginx": use_nginx, "java": use_java, "node": use_node, "postgres": use_postgres,
}  # fmt: skip


# The whole


def megabytes(size: int | None) -> str:
    return "-" if size is None else f"{size / 1e6:.1f}"


def main(directory: Path) -> int:
    (directory / "images").mkdir(parents=True, exist_ok=True)
    place = Place(directory.resolve())
    names = list(USES)
    fill_repository(place, names)
    others = Others(
        (place.directory / "repository" / "debian" / "suite").read_text().strip(),
        SuiteFiles(place.directory / "cache"),
        yaml.safe_load((ROOT / EXAMPLES / "distroless.yaml").read_text()),
    )
    short = Path(tempfile.mkdtemp(prefix="pod"))
    engines = [sandbox(place)] + ([podman(place, short)] if shutil.which("podman") and shutil.which("skopeo") else [])
    failures: list[str] = []
    rows: list[tuple[str, ...]] = [
        (
            *("image", "MB", "compressed", "mmdebstrap", "ratio", "Distroless", "ratio", "syft", "build s"),
            *(engine.name for engine in engines),
        )
    ]
    try:
        for name in names:
            rows.append(row(place, name, engines, others, failures))
    finally:
        if len(engines) > 1:
            own = ["podman", "--root", f"{short}/store", "--runroot", f"{short}/run", "--storage-driver=vfs"]
            subprocess.run([*own, "rmi", "--all", "--force"], capture_output=True, check=False, timeout=120)
        shutil.rmtree(short, ignore_errors=True)
    widths = [max(len(line[column]) for line in rows) for column in range(len(rows[0]))]
    for line in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())
    for failure in failures:
        print(failure)
    return 1 if failures else 0


def row(place: Place, name: str, engines: list[Engine], others: Others, failures: list[str]) -> tuple[str, ...]:
    print(f"== {name}", file=sys.stderr, flush=True)
    layout = place.image(name)
    seconds = build(place, name)
    used = [attempt(name, engine, failures) for engine in engines]
    size = unpacked_size(layout)
    compressed = sum(path.stat().st_size for path in (layout / "blobs" / "sha256").iterdir())
    packages = [item for item in packages_of(name) if item not in ("base-files", "dash")]
    root = mmdebstrap_root(place.directory, others.suite, packages)
    mmdebstrap = tar_size(root) if root is not None else None
    listed = others.distroless.get(name)
    distroless = (
        others.files.unpacked_size(listed) + others.files.unpacked_size(["ca-certificates"], CERTIFICATES) if listed else None
    )
    found = scanned(place, name, root, failures)
    cells = (megabytes(size), megabytes(compressed))
    against = (
        compared(name, size, other, *bound, failures) for other, bound in ((mmdebstrap, MMDEBSTRAP), (distroless, DISTROLESS))
    )
    return name, *cells, *(cell for pair in against for cell in pair), found, f"{seconds:.2f}", *used


def compared(name: str, size: int, other: int | None, whose: str, bound: float, failures: list[str]) -> tuple[str, str]:
    """The other's size and how large ours is beside it; a failure where it is over the bound."""
    if other is None:
        return "-", "-"
    if size > bound * other:
        failures.append(f"{name}: {size / other:.0%} of {whose}'s size, the bound is {bound:.0%}")
    return megabytes(other), f"{size / other:.0%}"


def scanned(place: Place, name: str, root: Path | None, failures: list[str]) -> str:
    """How many packages syft finds in the image and, in the same version, in the other root."""
    if root is None or not shutil.which("syft"):
        return "-"
    with tempfile.TemporaryDirectory() as scratch:
        same, differing = syft_difference(place.image(name), root, Path(scratch))
    failures += [f"{name}: syft finds {line}" for line in differing]
    return f"{same} same" if not differing else f"{len(differing)} differ"


def attempt(name: str, engine: Engine, failures: list[str]) -> str:
    try:
        return USES[name](engine)
    except Failure as failure:
        failures.append(f"{name} under {engine.name}: {failure}")
        return "failed"


if __name__ == "__main__":
    if not shutil.which("apt-get"):
        sys.exit("this needs apt-get: it imports real packages from the machine's own Debian or Ubuntu sources")
    sys.exit(main(Path(sys.argv[1] if len(sys.argv) > 1 else USUAL)))
