"""Building an image in every state of the cache, against one SHA-256 pass over the same bytes, and against the peers."""

from __future__ import annotations

import gzip
import hashlib
import json
import shutil
from pathlib import Path

from benchmarks import workload
from benchmarks.measuring import Sample, Summary, Variant, command, function, interleaved
from benchmarks.workload import APKILN, Workload

BASELINE = "one SHA-256 pass over the layer's tar (hashlib)"
HOT = "apkiln image build, hot"
COMBINATION = "apkiln image build, new combination"
COLD = "apkiln image build, cold"
_CHUNK = 1 << 20


class ImageBench:
    """Everything about images; `run` does the measuring."""

    def __init__(self, work: Path, load: Workload, cache: Path, peers: dict[str, str]) -> None:
        self._work = work
        self._load = load
        self._cache = cache
        self._peers = peers
        self._environment = workload.clean_environment(cache)
        self._combinations = workload.new_combinations(load, cache)
        self._definition = workload.definition(load, work / "image.yaml")
        self.tar_bytes = 0

    def run(self, rounds: int) -> dict[str, Summary]:
        """Figures by name."""
        tar = self._layer_tar()
        self.tar_bytes = tar.stat().st_size
        variants = [
            Variant(BASELINE, lambda number: function(lambda: _hash(tar))),
            Variant(HOT, lambda number: self._build(self._definition, self._cache), self._clear),
            Variant(COMBINATION, lambda number: self._build(self._work / "combination.yaml", self._cache), self._new_combination),
            Variant("apkiln image audit", lambda number: self._apkiln("image", "audit", self._work / "kept")),
            *self._peer_variants(),
        ]
        figures = interleaved(variants, rounds)
        # Once per round would keep the machine busy for minutes; three runs show the spread.
        cold = Variant(COLD, lambda number: self._build(self._definition, self._work / "cold-cache"), self._cool)
        return figures | interleaved([cold, *self._cold_peers()], min(rounds, 3))

    def kept_layout(self) -> Path:
        """Build once and keep the image."""
        kept = self._work / "kept"
        shutil.rmtree(kept, ignore_errors=True)
        self._apkiln("image", "build", self._definition, "bench:latest", kept, "--vcs=false")
        return kept

    def _layer_tar(self) -> Path:
        """The layer of the kept image, inflated."""
        kept = self.kept_layout()
        manifest = json.loads(_blob(kept, json.loads((kept / "index.json").read_bytes())["manifests"][0]["digest"]))
        tar = self._work / "layer.tar"
        layer = kept / "blobs" / "sha256" / manifest["layers"][0]["digest"].partition(":")[2]
        with gzip.open(layer) as stream, tar.open("wb") as output:
            shutil.copyfileobj(stream, output, _CHUNK)
        return tar

    def _apkiln(self, *words: object) -> Sample:
        return command([APKILN, *words, "-q"], self._environment, self._work)

    def _build(self, definition: Path, cache: Path) -> Sample:
        words = [APKILN, "image", "build", definition, "bench:latest", self._work / "out", "--vcs=false", "-q"]
        return command(words, self._environment | {"APKILN_CACHE": str(cache)}, self._work)

    def _clear(self, number: int) -> None:
        shutil.rmtree(self._work / "out", ignore_errors=True)

    def _cool(self, number: int) -> None:
        self._clear(number)
        shutil.rmtree(self._work / "cold-cache", ignore_errors=True)

    def _new_combination(self, number: int) -> None:
        self._clear(number)
        without = next(self._combinations)
        workload.definition(self._load, self._work / "combination.yaml", without=without)

    def _peer_variants(self) -> list[Variant]:
        found = []
        if "apko" in self._peers:
            found.append(
                Variant("apko build, hot", lambda number: self._apko(self._work / "apko-cache"), self._clear_apko, optional=True)
            )
        if "skopeo" in self._peers:
            words = [self._peers["skopeo"], "copy", "-q", "--insecure-policy"]
            words += [f"oci:{self._work}/kept:latest", f"oci:{self._work}/copied:latest"]
            copy = Variant(
                "skopeo copy of the image", lambda number: self._command(words), lambda number: self._remove("copied"), True
            )
            found.append(copy)
        if "syft" in self._peers:
            listing = [self._peers["syft"], f"oci-dir:{self._work}/kept", "-o", "json", "-q"]
            found.append(Variant("syft listing of the image", lambda number: self._command(listing), optional=True))
        return found

    def _cold_peers(self) -> list[Variant]:
        found = []
        if "apko" in self._peers:
            found.append(
                Variant("apko build, cold", lambda number: self._apko(self._work / "apko-cold"), self._cool_apko, optional=True)
            )
        if "apk" in self._peers:
            found.append(Variant("apk add into an empty root", lambda number: self._apk_add(), self._new_root, optional=True))
        return found

    def _apko(self, cache: Path) -> Sample:
        words = [self._peers["apko"], "build", self._definition, "bench:latest", self._work / "apko.tar"]
        words += ["--cache-dir", cache, "--vcs=false", "--sbom-path", self._work, "--log-level", "error"]
        return self._command(words)

    def _clear_apko(self, number: int) -> None:
        (self._work / "apko.tar").unlink(missing_ok=True)

    def _cool_apko(self, number: int) -> None:
        self._clear_apko(number)
        self._remove("apko-cold")
        (self._work / "apko-cold").mkdir()

    def _new_root(self, number: int) -> None:
        self._remove("root")
        keys = self._work / "root" / "etc" / "apk" / "keys"
        keys.mkdir(parents=True)
        shutil.copy(self._load.key, keys)
        (self._work / "repositories").write_text(f"{self._load.repository}\n")

    def _apk_add(self) -> Sample:
        words: list[object] = [
            self._peers["apk"],
            "--root",
            self._work / "root",
            "--arch",
            "x86_64",
            "--no-cache",
            "--no-logfile",
        ]
        words += ["--no-scripts", "--repositories-file", self._work / "repositories", "--initdb", "add", *self._load.names]
        return self._command(words)

    def _command(self, words: list[object] | list[str]) -> Sample:
        extra = {"APK_CONFIG": "/dev/null", "SYFT_CHECK_FOR_APP_UPDATE": "false"}
        return command(words, self._environment | extra, self._work)

    def _remove(self, name: str) -> None:
        shutil.rmtree(self._work / name, ignore_errors=True)


def _hash(path: Path) -> None:
    hasher, buffer = hashlib.sha256(), bytearray(_CHUNK)
    with path.open("rb", buffering=0) as stream:
        while size := stream.readinto(buffer):
            hasher.update(memoryview(buffer)[:size])


def _blob(layout: Path, digest: str) -> bytes:
    return (layout / "blobs" / digest.replace(":", "/")).read_bytes()
