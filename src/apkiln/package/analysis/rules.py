"""What a distribution decides about analysis (spec package.md §13.2: 1e, 1f, 1g), read from a file of rules."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import PurePath
from typing import Any

from apkiln.core.errors import ConfigurationError, FaultCollector
from apkiln.core.named_tuple import NamedTuple
from apkiln.core.origin import Origin
from apkiln.formats.yamlnode.nearest import nearest

SHIPPED = PurePath(__file__).parent / "distributions"
"""Rule files `NAME.toml` that come with the product."""
_DRIVER = (
    "libcuda libcudadebugger libnvcuvid libnvoptix libEGL_nvidia libGLESv1_CM_nvidia libGLESv2_nvidia libGLX_nvidia"
    " libnvidia-allocator libnvidia-cfg libnvidia-eglcore libnvidia-encode libnvidia-fbc libnvidia-glcore libnvidia-glsi"
    " libnvidia-glvkspirv libnvidia-gpucomp libnvidia-ml libnvidia-ngx libnvidia-nvvm libnvidia-opencl libnvidia-opticalflow"
    " libnvidia-pkcs11-openssl3 libnvidia-pkcs11 libnvidia-ptxjitcompiler libnvidia-rtcore libnvidia-tls"
)
HOST_LIBRARIES = frozenset(f"{name}.so.1" for name in _DRIVER.split())
"""Libraries of graphics drivers: a container gets them from its host, so no package can be asked for them."""


class GoRule(NamedTuple):
    """Dependencies of Go programs that were built in a certain way."""

    settings: tuple[tuple[str, tuple[str, ...]], ...]
    """Names of settings → the values it may have; all must fit."""
    depends: tuple[str, ...]


class AnalysisRules(NamedTuple):
    """Switches and tables of the generators."""

    host_libraries: frozenset[str] = HOST_LIBRARIES
    """Names of libraries that are neither depended on nor provided."""
    versioned_libraries: bool = False
    """Depend on the versions of libraries that were there at build time (`so-ver:NAME>=VERSION`)."""
    command_links: bool = False
    """Symlinks in directories of commands provide their name, too."""
    go: tuple[GoRule, ...] = ()


DEFAULT_RULES = AnalysisRules()


def read_rules(content: bytes, source: str) -> AnalysisRules:
    """A TOML file: `host-libraries` (a list in place of the usual one), `versioned-libraries`, `command-links`, and tables
    `[[go]]` with `settings` (name to list of values) and `depends`.

    ConfigurationError `bad-rules`, all faults together.
    """
    import tomllib

    try:
        document = tomllib.loads(content.decode())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise _fault(f"this is no TOML file: {error}", source) from None
    return _Reader(document, source).rules()


class _Reader:
    def __init__(self, document: dict[str, Any], source: str) -> None:
        self._document = document
        self._source = source
        self._faults = FaultCollector.empty()

    def rules(self) -> AnalysisRules:
        readers: dict[str, Callable[[str, Any], Any]] = {
            "host-libraries": self._texts,
            "versioned-libraries": self._truth,
            "command-links": self._truth,
            "go": self._go_rules,
        }
        found: dict[str, Any] = {}
        for key, value in self._document.items():
            if key in readers:
                found[key] = readers[key](key, value)
            else:
                guess = nearest(key, readers)
                self._refuse(f"`{key}` is no rule", f"did you mean `{guess}`?" if guess else "")
        self._faults.raise_if_any()
        return AnalysisRules(
            frozenset(found.get("host-libraries", HOST_LIBRARIES)),
            found.get("versioned-libraries", False),
            found.get("command-links", False),
            found.get("go", ()),
        )

    def _go_rules(self, key: str, value: Any) -> tuple[GoRule, ...]:
        rows = value if isinstance(value, list) else [value]
        return tuple(self._go_rule(row) for row in rows)

    def _go_rule(self, row: Any) -> GoRule:
        if not isinstance(row, dict) or row.keys() != {"settings", "depends"} or not isinstance(row["settings"], dict):
            self._refuse("a rule `[[go]]` has a table `settings` and a list `depends`")
            return GoRule((), ())
        settings = tuple(sorted((name, self._texts(name, values)) for name, values in row["settings"].items()))
        return GoRule(settings, self._texts("depends", row["depends"]))

    def _texts(self, key: str, value: Any) -> tuple[str, ...]:
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            self._refuse(f"`{key}` is a list of texts")
            return ()
        return tuple(value)

    def _truth(self, key: str, value: Any) -> bool:
        if not isinstance(value, bool):
            self._refuse(f"`{key}` is `true` or `false`")
        return bool(value)

    def _refuse(self, message: str, hint: str = "") -> None:
        self._faults.add(_fault(message, self._source, hint))


def _fault(message: str, source: str, hint: str = "") -> ConfigurationError:
    return ConfigurationError(message, reason="bad-rules", origin=Origin(source), hint=hint)
