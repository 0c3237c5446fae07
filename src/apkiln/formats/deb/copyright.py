"""Machine-readable copyright files (DEP-5) to an SPDX licence expression (spec debian.md §3, "copyright file")."""

from __future__ import annotations

import re
from functools import lru_cache
from threading import Lock
from typing import Any

from apkiln.core.errors import FormatError
from apkiln.formats.deb.deb822 import Stanza, parse_stanzas

MAXIMUM_SIZE = 4 << 20
"""Bytes of one copyright file."""
MAXIMUM_LICENCES = 200
"""Different licence names of one file; more give no expression."""

_SHORT_NAMES = {
    "GFDL-NIV-1.2+": "GFDL-1.2-no-invariants-or-later", "GFDL-NIV-1.3+": "GFDL-1.3-no-invariants-or-later",
    "Expat": "MIT", "MIT/X11": "MIT", "X11": "X11", "ISC": "ISC", "Zlib": "Zlib", "zlib": "Zlib", "ZLIB": "Zlib",
    "BSD-2-clause": "BSD-2-Clause", "BSD-3-clause": "BSD-3-Clause", "BSD-4-clause": "BSD-4-Clause",
    "Apache-2": "Apache-2.0", "Artistic": "Artistic-1.0-Perl", "Artistic-2": "Artistic-2.0",
    "MPL-1.1": "MPL-1.1", "MPL-2": "MPL-2.0", "CC0": "CC0-1.0", "PSF-2": "PSF-2.0", "Python-2.0": "Python-2.0",
    "EPL-1": "EPL-1.0", "CDDL-1": "CDDL-1.0", "OFL-1.1": "OFL-1.1", "Unlicense": "Unlicense", "OpenLDAP-2.8": "OLDAP-2.8",
}  # fmt: skip
"""DEP-5 short names whose SPDX identifier differs, or whose case must be mended."""
_EXCEPTIONS = {
    "with openssl exception": "",
    "with autoconf exception": "Autoconf-exception-3.0",
    "with bison exception": "Bison-exception-2.2",
    "with font exception": "Font-exception-2.0",
    "with gcc exception": "GCC-exception-3.1",
    "with libtool exception": "Libtool-exception",
}
_GNU = re.compile(r"(?P<family>A?GPL|LGPL|GFDL)-(?P<version>[0-9](?:\.[0-9])?)(?P<later>\+?)")
_LIBRARY = Lock()
"""Held around the licence library, whose tables are made on first use and not guarded against other threads."""
_WORD = re.compile(r"[^A-Za-z0-9.-]+")
_SPLIT = re.compile(r"(\s+and/or\s+|\s+or\s+|\s*,\s*and\s+|\s+and\s+|\s*,\s*)", re.IGNORECASE)


def licence_reference(package: str) -> str:
    """The identifier of a package whose copyright file gives no expression: `LicenseRef-debian-<name>`."""
    return f"LicenseRef-debian-{_WORD.sub('-', package)}"


def is_machine_readable(data: bytes) -> bool:
    """Whether the file claims the DEP-5 format."""
    head = data[:400].lower()
    return b"copyright-format/1.0" in head or b"dep5" in head or b"dep-5" in head


def spdx_expression(data: bytes) -> str:
    """One SPDX expression over all `Files` and header licences of a DEP-5 file, `AND` of the distinct ones, sorted.

    Licence names that SPDX does not know become `LicenseRef-debian-<name>` inside the expression.  Empty text when the
    file is not DEP-5, too large, damaged, or cannot be brought into one expression (LICENCE_UNKNOWN, a warning).
    """
    if len(data) > MAXIMUM_SIZE or not is_machine_readable(data):
        return ""
    try:
        stanzas = list(parse_stanzas(data))
    except FormatError:
        return ""
    with _LIBRARY:
        return _combined(_synopses(stanzas))


def _combined(synopses: list[str]) -> str:
    expressions = sorted({expression for expression in map(_expression, synopses) if expression})
    if not expressions or len(expressions) > MAXIMUM_LICENCES:
        return ""
    joined = " AND ".join(f"({item})" if " " in item and len(expressions) > 1 else item for item in expressions)
    return _normalised(joined)


def _synopses(stanzas: list[Stanza]) -> list[str]:
    """First lines of the licence fields that apply to files; stand-alone licence paragraphs only explain names."""
    found = [stanza.get("License").split("\n")[0].strip() for stanza in stanzas if "Files" in stanza]
    if not any(found) and stanzas:
        found = [stanza.get("License").split("\n")[0].strip() for stanza in stanzas[:1]]
    return [text for text in dict.fromkeys(found) if text]


def _expression(synopsis: str) -> str:
    """DEP-5: `or` and `and`, a comma binds them more loosely; a comma alone means `and`.  Groups are bracketed."""
    pieces = _SPLIT.split(synopsis)
    loose: list[str] = []
    tight = _identifier(pieces[0])
    operators: list[str] = []
    for separator, name in zip(pieces[1::2], pieces[2::2], strict=True):
        word = "OR" if "or" in separator.lower().replace("and/or", "or").split() else "AND"
        if "," in separator:
            loose.append(tight)
            operators.append(word)
            tight = _identifier(name)
        else:
            tight = f"{tight} {word} {_identifier(name)}"
    loose.append(tight)
    if len(loose) == 1:
        return tight
    parts = [f"({part})" if " " in part else part for part in loose]
    return parts[0] + "".join(f" {operator} {part}" for operator, part in zip(operators, parts[1:], strict=True))


def _identifier(name: str) -> str:
    text = name.strip()
    for words, exception in _EXCEPTIONS.items():
        if text.lower().endswith(words):
            base = _identifier(text[: -len(words)])
            return f"{base} WITH {exception}" if exception and not base.startswith("LicenseRef") else _reference(text)
    gnu = _GNU.fullmatch(text)
    if gnu is not None:
        version = gnu["version"] if "." in gnu["version"] else gnu["version"] + ".0"
        spdx = f"{gnu['family']}-{version}-{'or-later' if gnu['later'] else 'only'}"
        return _known().get(spdx.lower()) or _reference(text)
    if text in _SHORT_NAMES:
        return _SHORT_NAMES[text]
    return _known().get(text.lower()) or _reference(text)


def _reference(name: str) -> str:
    return f"LicenseRef-debian-{_WORD.sub('-', name).strip('-') or 'unnamed'}"


@lru_cache(maxsize=1)
def _licensing() -> Any:
    from license_expression import get_spdx_licensing

    return get_spdx_licensing()


@lru_cache(maxsize=1)
def _known() -> dict[str, str]:
    """SPDX licence identifiers by lower-case spelling."""
    return {key.lower(): key for key, symbol in _licensing().known_symbols.items() if not symbol.is_exception}


def _normalised(expression: str) -> str:
    """The expression in the form the licence library prints; empty when it cannot be parsed."""
    from license_expression import ExpressionError

    try:
        return str(_licensing().parse(expression, validate=False, strict=True).simplify())
    except ExpressionError:
        return ""
