"""What melange's compile printed for real definitions, equal in meaning to what ours makes (README of wolfi-os-compiled).

Not compared, as the READMEs say: order of environment packages, texts of built-in pipelines, the printed form of scripts.
Steps inside a `uses` step keep its environment here, and `with` of a step that gives none lists defaults with variables.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from io import BytesIO
from itertools import pairwise
from pathlib import Path
from tarfile import TarFile
from typing import Any

import yaml
from backports.zstd import DecompressionParameter, ZstdDecompressor
from tests.conformance.scoring import FAILED, PASSED, SKIPPED, Difference, Outcome, Suite, judged
from tests.conformance.suites.melange_ways import Recording

from apkiln.core.arch import Arch
from apkiln.core.errors import ApkilnError
from apkiln.package.compilation.compiling import CompilationSettings
from apkiln.package.compilation.embedding import embedded
from apkiln.package.compilation.library import PipelineLibrary
from apkiln.package.compilation.resolving import load, resolve
from apkiln.package.compilation.scripts import without_comments
from apkiln.package.compilation.shelves import BUILT_IN, library_of, shelf
from apkiln.package.definition.rendering import document
from apkiln.package.evaluation.evaluating import EvaluationSettings
from apkiln.system.folder import DirectoryFolder, MemoryFolder

ARCHITECTURES = ("x86_64", "aarch64")
_LARGEST = 1 << 30


def _decompressed(path: Path) -> bytes:
    decompressor = ZstdDecompressor(options={DecompressionParameter.window_log_max: 27})
    return decompressor.decompress(path.read_bytes(), _LARGEST)


@lru_cache(maxsize=2)
def files_of(folder: Path) -> Mapping[str, bytes]:
    """Every file of the archive in `wolfi-os`, by its path below the checkout."""
    (archive,) = folder.glob("*.tar.zst")
    found = {}
    with TarFile(fileobj=BytesIO(_decompressed(archive))) as tar:
        for member in tar:
            stream = tar.extractfile(member) if member.isfile() else None
            if stream is not None:
                found[member.name.partition("/")[2]] = stream.read()
    return found


def definitions_of(folder: Path) -> dict[str, bytes]:
    """The definitions at the top of the checkout, sorted by name."""
    names = sorted(name for name in files_of(folder) if "/" not in name and name.endswith(".yaml"))
    return {name: files_of(folder)[name] for name in names}


def distribution_library(folder: Path) -> PipelineLibrary:
    """The distribution's own pipelines, then the built-in ones."""
    own = {name.removeprefix("pipelines/"): data for name, data in files_of(folder).items() if name.startswith("pipelines/")}
    return PipelineLibrary((shelf("pipelines", MemoryFolder(own)), shelf("built-in", DirectoryFolder(BUILT_IN))))


def is_distribution(folder: Path) -> bool:
    """Folder `wolfi-os` with its README and archive."""
    return folder.name == "wolfi-os" and (folder / "README.md").exists() and len(list(folder.glob("*.tar.zst"))) == 1


def loading(folder: Path) -> Iterable[Outcome]:
    """Every definition loads and compiles without a fault, and what it compiles to compiles to itself."""
    from tests.conformance.suites.melange_definitions import compiles

    library = distribution_library(folder)
    for name, content in definitions_of(folder).items():
        yield compiles(name, content, library)


def is_compiled(folder: Path) -> bool:
    """Folder `wolfi-os-compiled` with its README, and the definitions beside it."""
    named = folder.name == "wolfi-os-compiled" and (folder / "README.md").exists()
    return named and is_distribution(folder.parent / "wolfi-os")


def comparison(folder: Path) -> Iterable[Outcome]:
    """Both outputs of every definition, for each architecture that is recorded."""
    definitions = definitions_of(folder.parent / "wolfi-os")
    library = distribution_library(folder.parent / "wolfi-os")
    built_in = _own_names(library, folder.parent / "wolfi-os")
    for arch in ARCHITECTURES:
        path = folder / f"{arch}.jsonl.zst"
        for line in _decompressed(path).splitlines() if path.exists() else ():
            row = json.loads(line)
            content = definitions.get(row["file"])
            if content is None:
                yield Outcome(SKIPPED, path.name, row["file"], "the definition is not here", arch)
                continue
            wrong = _compared(row, content, Arch.parse(arch), library, built_in)
            yield Outcome(FAILED if wrong else PASSED, path.name, row["file"], wrong, arch)


def _own_names(library: PipelineLibrary, folder: Path) -> frozenset[str]:
    """Pipelines whose texts are ours."""
    given = {name.removeprefix("pipelines/").removesuffix(".yaml") for name in files_of(folder) if name.startswith("pipelines/")}
    return frozenset(library.shelves[-1].names()) - given


def _compared(row: dict[str, Any], content: bytes, arch: Arch, library: PipelineLibrary, built_in: frozenset[str]) -> str:
    recorded = row.get("compiled")
    settings = EvaluationSettings(commit=recorded["package"]["commit"] if recorded else "")
    try:
        got = document(resolve(load(content, row["file"], settings), arch, library).definition)
    except ApkilnError as fault:
        refused = recorded is None and fault.reason == "not-targeted"
        return "" if refused else str(fault)
    if recorded is None:
        return f"compiles, recorded is {row['error']}"
    return next(differences(canonical(recorded, built_in), canonical(got, built_in)), "")


def canonical(value: Any, built_in: frozenset[str], key: str = "") -> Any:
    """Without what is not compared: needs, empty values, steps of our own pipelines, form of scripts, order of packages."""
    if isinstance(value, list):
        return [canonical(item, built_in, key) for item in value]
    if not isinstance(value, dict):
        return value
    found = {}
    for name, member in value.items():
        if name == "needs" or (name == "pipeline" and value.get("uses") in built_in):
            continue
        if name == "packages" and key == "contents":
            member = sorted(set(member))
        member = script(member) if name == "runs" else canonical(member, built_in, name)
        if member not in ({}, [], "", None, False):
            found[name] = member
    return found


def script(text: str) -> str:
    """A script without what printing through a shell grammar changes: blanks, separators, comments, forms of substitution."""
    bare = re.sub(r"[\s;]", "", without_comments(text).replace("\\\n", ""))
    bare = re.sub(r"(\$\{\w+/[^/{}]*)/\}", r"\1}", bare)
    return re.sub(r"\$\(|[`()]", "", bare)


def differences(recorded: Any, got: Any, path: str = "") -> Iterator[str]:
    """Where two canonical documents differ."""
    if isinstance(recorded, dict) and isinstance(got, dict):
        for key in sorted(recorded.keys() | got.keys()):
            if key in recorded and key in got:
                yield from differences(recorded[key], got[key], f"{path}.{key}")
            elif key in recorded or key not in ("with", "environment"):
                yield f"{path}.{key}: recorded {str(recorded.get(key))[:200]}, got {str(got.get(key))[:200]}"
    elif isinstance(recorded, list) and isinstance(got, list) and len(recorded) == len(got):
        for number, (one, two) in enumerate(zip(recorded, got, strict=True)):
            yield from differences(one, two, f"{path}[{number}]")
    elif recorded != got:
        yield f"{path}: recorded {str(recorded)[:200]}, got {str(got)[:200]}"


_REFUSED_WHEN_COMPILED = ("failed to load configuration", "compiling ", "unable to parse version")


def runs(folder: Path) -> Iterable[Outcome]:
    """Each fixture is refused when the peer refused to load or compile it, and else equals what its package carries."""
    library = library_of([])
    built_in = frozenset(library.shelves[-1].names())
    for row in json.loads((folder / "manifest.json").read_text(encoding="utf-8"))["cases"]:
        name = row["name"]
        refused = any(mark in text for text in row["error"] for mark in _REFUSED_WHEN_COMPILED)
        found = _run(folder / "cases" / name, row, refused, library, built_in)
        yield judged(f"cases/{name}/{name}.yaml", name, "", found)


def _run(
    case: Path, row: dict[str, Any], refused: bool, library: PipelineLibrary, built_in: frozenset[str]
) -> Iterator[Difference]:
    options = tuple(value for flag, value in pairwise(row["args"]) if flag == "--build-option")
    content = (case / f"{case.name}.yaml").read_bytes()
    recording = Recording.of(row, content.decode("utf-8", "replace"), "")
    recorded = _embedded_document(case)
    settings = EvaluationSettings(options=options, commit="1" * 40)
    try:
        loaded = load(content, case.name, settings)
        got = document(embedded(resolve(loaded, Arch.parse("x86_64"), library, CompilationSettings(strict=True)).definition))
    except ApkilnError as fault:
        if not refused and fault.reason != "not-targeted":
            yield Difference(str(fault), recording.of_faults(fault))
        return
    if refused:
        yield Difference("accepted, although the peer refuses it", recording.of_acceptance())
        return
    if recorded is None:
        return
    kept = {key: value for key, value in _texts(got).items() if key != "environment"}
    recorded = {key: value for key, value in recorded.items() if key != "environment"}
    for text in differences(canonical(recorded, built_in), canonical(kept, built_in)):
        yield Difference(text, recording.of_document(text))


def _embedded_document(case: Path) -> dict[str, Any] | None:
    """The `.melange.yaml` of the first package, every scalar as text."""
    facts = json.loads((case / "facts.json").read_text(encoding="utf-8"))
    for package in facts.get("packages", ()):
        text = package["control_files"].get(".melange.yaml")
        if isinstance(text, str):
            found: dict[str, Any] = yaml.load(text, Loader=yaml.BaseLoader)  # every scalar stays text
            return found
    return None


def _texts(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _texts(member) for key, member in value.items()}
    if isinstance(value, list):
        return [_texts(item) for item in value]
    return ("true" if value else "false") if isinstance(value, bool) else str(value)


def _is_runs(folder: Path) -> bool:
    from tests.conformance.suites.melange_definitions import is_runs

    return is_runs(folder)


SUITES = (
    Suite("melange-runs/compile", _is_runs, runs),
    Suite("wolfi-os/compile", is_distribution, loading),
    Suite("wolfi-os-compiled", is_compiled, comparison),
)
