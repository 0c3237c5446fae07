"""The main job on real input: `make demo`.

Imports python3 and what it needs as Debian packages from the apt sources of this machine into a signed local apk repository,
builds an image from them, verifies the packages, audits the image, runs it in a sandbox, and prints what was made.
Everything lies below the directory given as the one argument; a second run uses what the first one kept.
"""

from __future__ import annotations

import json
import shlex
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parent.parent
APKILN = Path(sys.executable).parent / "apkiln"
DEFINITION = "examples/python/image.yaml"
USUAL = "build/demo"
"""Where the example expects the repository."""
PROGRAM = (
    "import json, platform, sqlite3, ssl; "
    "print(json.dumps(dict(python=platform.python_version(), openssl=ssl.OPENSSL_VERSION, sqlite=sqlite3.sqlite_version)))"
)


class Step(NamedTuple):
    """One line of the time table."""

    name: str
    seconds: float


def run(steps: list[Step], name: str, *arguments: str) -> str:
    """Run one apkiln command, progress on this terminal; its standard output.  Ends the demo when it fails."""
    print(f"== {name}\n   $ apkiln {shown(arguments)}", file=sys.stderr, flush=True)
    begun = time.monotonic()
    process = subprocess.run([APKILN, *arguments], stdout=subprocess.PIPE, text=True, cwd=ROOT, check=False)
    if process.returncode:
        sys.stdout.write(process.stdout)
        sys.exit(f"the demo stopped at: {name} (exit {process.returncode})")
    steps.append(Step(name, time.monotonic() - begun))
    return process.stdout


def shown(arguments: tuple[str, ...]) -> str:
    """The command as one would type it: many packages as a pattern, words with spaces in quotes."""
    words = shlex.join(word for word in arguments if not word.endswith(".apk"))
    packages = [Path(word) for word in arguments if word.endswith(".apk")]
    return f"{words} {packages[0].parent.parent}/*/*.apk" if packages else words


def demo(place: str) -> None:
    """All steps, then the tables."""
    directory = Path(place)
    repository, image, sbom, cache = (str(directory / name) for name in ("repository", "image", "sbom", "cache"))
    private_key = str(directory / "keys" / "demo.rsa")
    common = ["--cache-dir", cache]
    steps: list[Step] = []

    if not (ROOT / private_key).exists():
        run(steps, "make a signed repository", "repo", "init", repository, "--key-name", "demo.rsa", *common)
    imported = run(
        steps, "import python3 from this machine's apt sources", "deb", "import", "python3",
        "--repo", repository, "--key", private_key, "--prune", "installer", "--json", *common,
    )  # fmt: skip
    packages = sorted(str(path) for path in (ROOT / repository).rglob("*.apk"))
    run(steps, f"verify {len(packages)} packages", "apk", "verify", "-q", "--key", f"{private_key}.pub", *packages, *common)
    for made_before in (image, sbom):
        shutil.rmtree(ROOT / made_before, ignore_errors=True)
    built = run(
        steps, "build the image", "image", "build", definition(directory), "apkiln.local/python:demo", image,
        "--arch", "host", "--sbom-path", sbom, "--json", *common,
    )  # fmt: skip
    run(steps, "audit the image", "image", "audit", image, *common)
    said = run(steps, "run the image", "image", "run", image, *common, "--", "-c", PROGRAM)
    report(directory, steps, json.loads(imported), json.loads(built), json.loads(said))


def definition(directory: Path) -> str:
    """The example; for another place than the usual one a copy of it that names the repository there."""
    if directory == Path(USUAL):
        return DEFINITION
    copy = ROOT / directory / "image.yaml"
    copy.write_text((ROOT / DEFINITION).read_text().replace(f"./{USUAL}", str(directory)))
    return str(copy)


def report(directory: Path, steps: list[Step], imported: dict[str, Any], built: dict[str, Any], said: dict[str, Any]) -> None:
    """The tables a person reads."""
    print()
    print(f"The image runs: Python {said['python']}, {said['openssl']}, SQLite {said['sqlite']}")
    print()
    table(("package", "version", "size"), package_rows(built))
    print()
    table(("image", "value"), image_rows(built))
    print()
    table(("step", "seconds"), [(step.name, f"{step.seconds:.2f}") for step in steps])
    print(f"{'total':>{max(len(step.name) for step in steps)}}  {sum(step.seconds for step in steps):.2f}")
    print()
    table(("where", "path"), [
        ("repository", directory / "repository"), ("image, an OCI layout", directory / "image"), ("SBOMs", directory / "sbom"),
    ])  # fmt: skip
    print()
    print("Load it:")
    print(f"  podman load  skopeo copy oci:{directory / 'image'} containers-storage:apkiln.local/python:demo")
    print(f"  docker       skopeo copy oci:{directory / 'image'} docker-daemon:apkiln.local/python:demo")
    print(
        f"  anything     apkiln image build {definition(directory)} apkiln.local/python:demo python.tar, then podman load -i python.tar"  # noqa: E501
    )


def package_rows(built: dict[str, Any]) -> list[tuple[str, ...]]:
    return [(row["name"], row["version"], f"{row['size'] / 1e3:,.1f} kB".rjust(10)) for row in built["images"][0]["packages"]]


def image_rows(built: dict[str, Any]) -> list[tuple[str, ...]]:
    image = built["images"][0]
    rows: list[tuple[str, ...]] = [("architecture", image["arch"]), ("manifest", image["digest"])]
    for layer in image["layers"]:
        rows += [("layer", layer["digest"]), ("layer, uncompressed", layer["diff_id"])]
        rows += [("layer size", f"{layer['size'] / 1e6:.1f} MB, {layer['uncompressed_size'] / 1e6:.1f} MB uncompressed")]
    return rows


def table(head: tuple[str, ...], rows: list[Any]) -> None:
    """Columns as wide as their widest cell."""
    cells = [tuple(str(cell) for cell in row) for row in (head, *rows)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(head))]
    for number, row in enumerate(cells):
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
        if number == 0:
            print("  ".join("-" * width for width in widths))


if __name__ == "__main__":
    if not shutil.which("apt-get"):
        sys.exit("the demo needs apt-get: it imports real packages from the machine's own Debian or Ubuntu sources")
    demo(sys.argv[1] if len(sys.argv) > 1 else USUAL)
