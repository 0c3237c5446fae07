"""Drafts from Debian source packages: upstream's archive, Debian's patches, a guess at the build system."""

from __future__ import annotations

import re
from collections.abc import Mapping

from apkiln.core.errors import FormatError
from apkiln.core.named_tuple import NamedTuple
from apkiln.core.origin import Origin
from apkiln.formats.deb.copyright import is_machine_readable, spdx_expression
from apkiln.formats.deb.deb822 import Stanza, parse_stanza, parse_stanzas
from apkiln.package.new.draft import (
    Draft,
    DraftPackage,
    DraftStep,
    Place,
    apk_name,
    checked_version,
    fetch_step,
    one_line,
    versioned,
)

_CHECKSUM = re.compile(r"\s*([0-9a-f]{64})\s+\d+\s+(\S+)\s*")
_BEGIN, _SIGNATURE = "-----BEGIN PGP SIGNED MESSAGE-----", "-----BEGIN PGP SIGNATURE-----"
_SYSTEMS: tuple[tuple[str, tuple[str, ...], tuple[str, ...]], ...] = (
    ("meson.build", ("meson/configure", "meson/compile", "meson/install"), ("meson",)),
    ("CMakeLists.txt", ("cmake/configure", "cmake/build", "cmake/install"), ("cmake", "ninja")),
    ("configure", ("autoconf/configure", "autoconf/make", "autoconf/make-install"), ()),
    ("configure.ac", ("autoconf/configure", "autoconf/make", "autoconf/make-install"), ("autoconf", "automake", "libtool")),
    ("pyproject.toml", ("python/build-wheel",), ("py3-build", "py3-installer", "python3")),
    ("setup.py", ("python/build-wheel",), ("py3-build", "py3-installer", "py3-setuptools", "python3")),
    ("Makefile", ("autoconf/make", "autoconf/make-install"), ()),
    ("makefile", ("autoconf/make", "autoconf/make-install"), ()),
)
"""What a file at the top of the sources says; the first that is there counts."""


class SourceControl(NamedTuple):
    """A `.dsc` file."""

    name: str
    version: str
    files: tuple[tuple[str, str], ...]
    """(name, SHA-256) of each file."""


def read_dsc(content: bytes, source: str) -> SourceControl:
    """A `.dsc`, its signature not looked at: every file is compared with the digest that is named here.

    Raises FormatError `control-…`, `no-metadata`.
    """
    text = content.decode("utf-8", "replace")
    if text.startswith(_BEGIN):
        text = text.partition("\n\n")[2].partition(_SIGNATURE)[0]
    stanza = parse_stanza(text.strip().encode() + b"\n", Origin(source))
    rows = [found for line in stanza.get("Checksums-Sha256").splitlines() if (found := _CHECKSUM.fullmatch(line))]
    files = tuple((found[2], found[1]) for found in rows if "/" not in found[2])
    if not stanza.get("Source") or not files:
        raise FormatError("the file names no source package", reason="no-metadata", origin=Origin(source))
    return SourceControl(stanza.get("Source"), stanza.get("Version"), files)


def upstream_version(version: str) -> str:
    """A Debian version without epoch, revision and the mark of a repacked archive."""
    found = version.partition(":")[2] or version
    found = found.rpartition("-")[0] or found
    return re.sub(r"[+~.](dfsg|ds)[0-9.]*$", "", found)


def debian_draft(
    control: SourceControl, place: Place, packaging: Mapping[str, bytes], top: frozenset[str], *, patched: bool = True
) -> Draft:
    """`place`: upstream's archive.  `packaging`: files below `debian/`, by the name below it.  `top`: names at the top of
    upstream's archive.  `patched`: take Debian's patches over.  Raises FormatError `no-metadata`, `bad-version`, `control-…`."""
    if "control" not in packaging:
        raise FormatError("there is no `debian/control`", reason="no-metadata", origin=Origin(place.file_name))
    stanzas = list(parse_stanzas(packaging["control"], Origin("debian/control")))
    head, binaries = stanzas[0], [stanza for stanza in stanzas[1:] if stanza.get("Package")]
    stated, guesses = upstream_version(control.version), list[str]()
    patches = _patches(packaging) if patched else ()
    steps = [fetch_step(versioned(place, stated))]
    if patches:
        steps.append(DraftStep("patch", (("patches", "".join(f"{name}\n" for name, _ in patches)),)))
        guesses.append(f"{len(patches)} patches of Debian are taken over; look whether each is wanted")
    system = _system(top, head.get("Build-Depends"))
    if system is None:
        guesses.append("no build system was recognised at the top of the sources")
    else:
        guesses.append(f"`{system[0]}` at the top of the sources decided how it is built")
    steps += [DraftStep(name) for name in (system[1] if system else ())] + [DraftStep("strip")]
    needs = head.get("Build-Depends")
    if needs:
        guesses.append("Debian builds it with: " + " ".join(needs.split()))
    guesses.append("dependencies at run time are found by analysis of the built files; others must be added")
    return Draft(
        name=apk_name(control.name),
        version=checked_version(stated, place.file_name),
        description=one_line(_main(binaries, control.name).partition("\n")[0]),
        url=head.get("Homepage"),
        licence=_licence(packaging, guesses),
        build=("build-base", "busybox", *(system[2] if system else ())),
        steps=tuple(steps),
        subpackages=tuple(_subpackages(control.name, binaries)),
        side_files=patches,
        guesses=tuple(guesses),
    )


def _system(top: frozenset[str], needs: str) -> tuple[str, tuple[str, ...], tuple[str, ...]] | None:
    """What is at the top of the sources; of several, one whose tool Debian builds with, else one that needs no tool."""
    found = [row for row in _SYSTEMS if row[0] in top]
    words = set(re.findall(r"[a-z0-9.+-]+", needs))
    tools = {"meson.build": "meson", "CMakeLists.txt": "cmake"}
    wanted = [row for row in found if tools.get(row[0], "") in words]
    plain = [row for row in found if row[0] not in tools]
    return next(iter((*wanted, *plain, *found)), None)


def _patches(packaging: Mapping[str, bytes]) -> tuple[tuple[str, bytes], ...]:
    series = packaging.get("patches/series", b"").decode("utf-8", "replace")
    names = [line.partition("#")[0].split() for line in series.splitlines()]
    listed = [words[0] for words in names if words]
    return tuple((name.replace("/", "-"), packaging[f"patches/{name}"]) for name in listed if f"patches/{name}" in packaging)


def _main(binaries: list[Stanza], name: str) -> str:
    """The description of the package that is likeliest the program or library itself."""
    libraries = [one for one in binaries if one.get("Package").startswith("lib") and not one.get("Package").endswith("-dev")]
    own = next((one for one in binaries if one.get("Package") == name), None)
    chosen = own or next(iter(libraries), None) or next(iter(binaries), None)
    return chosen.get("Description") if chosen is not None else ""


def _licence(packaging: Mapping[str, bytes], guesses: list[str]) -> str:
    content = packaging.get("copyright", b"")
    found = spdx_expression(content) if is_machine_readable(content) else ""
    if not found:
        guesses.append("`debian/copyright` gives no licence expression")
    return found


def _subpackages(name: str, binaries: list[Stanza]) -> list[DraftPackage]:
    names = [one.get("Package") for one in binaries]
    found = []
    if any(one.endswith("-dev") for one in names):
        steps = (DraftStep("split/dev"),)
        found.append(DraftPackage(apk_name(f"{name}-dev"), f"{name} headers and development files", steps, (apk_name(name),)))
    found.append(DraftPackage(apk_name(f"{name}-doc"), f"{name} documentation", (DraftStep("split/alldocs"),)))
    return found
