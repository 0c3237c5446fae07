"""Drafts from APKBUILD files.  The shell in them is read, never run."""

from __future__ import annotations

import re
from collections.abc import Mapping
from fnmatch import fnmatchcase

from apkiln.core.digest import Digest
from apkiln.core.errors import FormatError
from apkiln.core.origin import Origin
from apkiln.package.new.draft import Draft, DraftPackage, DraftStep, apk_name, checked_version, licence_of, one_line

_ASSIGNMENT = re.compile(r"^([A-Za-z_]\w*)=", re.MULTILINE)
_FUNCTION = re.compile(r"^([A-Za-z_]\w*)\(\)\s*\{[ \t]*\n(.*?)^\}", re.MULTILINE | re.DOTALL)
_EXPANSION = re.compile(r"\$(?:(\w+)|\{(\w+)(?:(%%|%|##|#|//|/)([^}]*))?\})")
_SPLITS = {
    "dev": ("split/dev", "headers and development files"),
    "doc": ("split/alldocs", "documentation"),
    "static": ("split/static", "static libraries"),
    "libs": ("split/lib", "libraries"),
    "lang": ("split/locales", "translations"),
    "dbg": ("split/debug", "debug symbols"),
}
_STEPS = ("prepare", "build", "check", "package")
_PLACES = (("$subpkgdir", "${{targets.subpkgdir}}"), ("$pkgdir", "${{targets.destdir}}"), ("$srcdir", "/home/build"))
_MAXIMUM_VALUE = 1 << 16


def apkbuild_draft(content: str, source: str, files: Mapping[str, bytes]) -> Draft:
    """`files`: those beside the APKBUILD, for patches.  Raises FormatError `no-metadata`, `bad-version`."""
    return _Reader(content, source, files).run()


class _Reader:
    def __init__(self, content: str, source: str, files: Mapping[str, bytes]) -> None:
        self.source = source
        self.files = files
        self.guesses: list[str] = []
        self.functions: dict[str, str] = dict(_FUNCTION.findall(content))
        self.values: dict[str, str] = {}
        head = _FUNCTION.sub("", content)
        for found in _ASSIGNMENT.finditer(head):
            self.values[found[1]] = self.expanded(_quoted_value(head, found.end()))

    def run(self) -> Draft:
        name, version = self.values.get("pkgname", ""), self.values.get("pkgver", "")
        if not name or not version:
            raise FormatError("there is no `pkgname` or `pkgver`", reason="no-metadata", origin=Origin(self.source))
        patches, sources = self._sources()
        build = [*self._words("makedepends"), *self._words("depends_dev"), "build-base", "busybox"]
        if self._words("checkdepends"):
            build += self._words("checkdepends")
        steps = [*sources, *([DraftStep("patch", (("patches", " ".join(patches)),))] if patches else [])]
        release = self.values.get("pkgrel", "0")
        runtime, description = self._words("depends"), one_line(self.values.get("pkgdesc", ""))
        licence = licence_of(self.values.get("license", ""), self.guesses)
        draft = Draft(
            name=apk_name(name),
            version=checked_version(version, self.source),
            description=description,
            url=self.values.get("url", ""),
            licence=licence,
            epoch=int(release) if release.isdecimal() and len(release) < 6 else 0,
            runtime=tuple(one for one in runtime if not one.startswith("!")),
            build=tuple(dict.fromkeys(one for one in build if not one.startswith("!"))),
            steps=(*steps, *self._steps()),
            subpackages=tuple(self._subpackages(name)),
            side_files=tuple((patch, self.files[patch]) for patch in patches if patch in self.files),
        )
        return draft._replace(guesses=tuple(dict.fromkeys(self.guesses)))

    def expanded(self, text: str) -> str:
        """Variables that are known put in; what is not understood stays, with a remark."""

        def one(found: re.Match[str]) -> str:
            name = found[1] or found[2]
            if name not in self.values:
                return found[0]
            return self._changed(self.values[name], found[3] or "", found[4] or "", found[0])

        return _EXPANSION.sub(one, text)[:_MAXIMUM_VALUE]

    def _changed(self, value: str, operator: str, argument: str, whole: str) -> str:
        if not operator:
            return value
        if operator in ("/", "//"):
            old, _, new = argument.partition("/")
            return value.replace(old, new, -1 if operator == "//" else 1) if old else value
        cuts = range(len(value) + 1)
        front = operator.startswith("#")
        fits = [cut for cut in cuts if fnmatchcase(value[:cut] if front else value[cut:], argument)]
        if not fits:
            return value
        longest = len(operator) == 2
        cut = (max(fits) if longest else min(fits)) if front else (min(fits) if longest else max(fits))
        return value[cut:] if front else value[:cut]

    def _words(self, name: str) -> list[str]:
        found = self.values.get(name, "").split()
        unknown = [word for word in found if "$" in word]
        if unknown:
            self.guesses.append(f"`{name}` is not understood: " + " ".join(unknown))
        return [word for word in found if "$" not in word]

    def _sources(self) -> tuple[list[str], list[DraftStep]]:
        rows = (line.split(None, 1) for line in self._lines("sha512sums"))
        sums = {name.strip(): digest for digest, name in rows}
        patches: list[str] = []
        steps: list[DraftStep] = []
        for word in self._words("source"):
            name, separator, uri = word.partition("::")
            uri, name = (uri, name) if separator else (word, word.rpartition("/")[2])
            if "://" not in uri:
                if name.endswith((".patch", ".diff")):
                    patches.append(name)
                else:
                    self.guesses.append(f"the file `{name}` lies beside the APKBUILD and must be brought along")
                continue
            steps.append(self._fetch(uri, name, sums.get(name, "")))
        return patches, steps

    def _lines(self, name: str) -> list[str]:
        return [line for line in self.values.get(name, "").splitlines() if len(line.split()) == 2]

    def _fetch(self, uri: str, name: str, sha512: str) -> DraftStep:
        version = self.values["pkgver"]
        shown = uri.replace(version, "${{package.version}}") if len(version) > 2 else uri
        try:
            digest = Digest.parse(f"sha512:{sha512}").hex
        except FormatError:
            self.guesses.append(f"there is no sha512 sum for `{name}`")
            digest = "0" * 128
        archive = re.search(r"\.(tar\.\w+|tgz|zip|tar)$", name) is not None
        given = [("uri", shown), ("expected-sha512", digest), *([] if archive else [("extract", "false")])]
        return DraftStep("fetch", tuple(given))

    def _steps(self) -> list[DraftStep]:
        found: list[DraftStep] = []
        for name in _STEPS:
            body = self._script(self.functions.get(name, ""))
            if name == "prepare":
                body = re.sub(r"^default_prepare$\n?", "", body, flags=re.MULTILINE)
            if body.strip() and body.strip() != ":":
                found.append(DraftStep(runs=body))
        if "!check" in self.values.get("options", ""):
            self.guesses.append("the tests of upstream are switched off")
        return [*found, DraftStep("strip")]

    def _script(self, body: str) -> str:
        """The body of a function with the variables of abuild replaced by ours."""
        lines = [line.removeprefix("\t") for line in body.splitlines()]
        text = "\n".join(lines)
        for old, new in _PLACES:
            text = text.replace(f'"{old}"', new).replace(old, new).replace("${" + old[1:] + "}", new)
        text = re.sub(r'^\s*cd "?\$\{?builddir\}?"?\s*$\n?', "", text, flags=re.MULTILINE).replace("$builddir", ".")
        text = re.sub(r"\$\{?CHOST\}?", "${{host.triplet.gnu}}", text)
        text = re.sub(r"\$\{?CBUILD\}?", "${{host.triplet.gnu}}", text)
        text = re.sub(r"\$\{?pkgname\}?", "${{package.name}}", text)
        text = re.sub(r"\$\{?pkgver\}?", "${{package.version}}", text)
        left = sorted(set(re.findall(r"\$\{?((?:_\w+|subpkgname|pkgrel|startdir|CARCH|CTARGET))\b", text)))
        for name in left:
            if name in self.values:
                text = re.sub(r"\$(?:\{" + name + r"\}|" + name + r"\b)", lambda _, value=self.values[name]: value, text)  # type: ignore[misc]
            else:
                self.guesses.append(f"a script uses `${name}` of abuild")
        return text + "\n" if text.strip() else ""

    def _subpackages(self, name: str) -> list[DraftPackage]:
        found: list[DraftPackage] = []
        for word in self._words("subpackages"):
            package, _, rest = word.partition(":")
            function = rest.partition(":")[0] or package.rpartition("-")[2]
            body = self._script(self.functions.get(function, ""))
            known = _SPLITS.get(package.removeprefix(f"{name}-"))
            if known is not None and not body:
                found.append(DraftPackage(apk_name(package), f"{name} {known[1]}", (DraftStep(known[0]),)))
                continue
            if not body:
                self.guesses.append(f"nothing says what belongs into the subpackage `{package}`")
                body = "true\n"
            else:
                self.guesses.append(f"the subpackage `{package}` is filled by a script that may use functions of abuild")
            found.append(DraftPackage(apk_name(package), "", (DraftStep(runs=body),)))
        return found


def _quoted_value(text: str, position: int) -> str:
    """The value that begins at `position`: to the end of the word, with its quotes taken off."""
    parts: list[str] = []
    quote = ""
    while position < len(text) and (quote or not text[position].isspace()):
        char = text[position]
        if quote and char == quote:
            quote = ""
        elif not quote and char in "'\"":
            quote = char
        elif not quote and char == "#" and not parts:
            break
        else:
            parts.append(char)
        position += 1
        if len(parts) > _MAXIMUM_VALUE:
            break
    return "".join(parts)
