"""Which variables are visible where, for one architecture (spec package.md §4.2)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from apkiln.core.arch import Arch
from apkiln.package.definition.model import NOWHERE
from apkiln.package.evaluation.defaults import OUTPUT, WORKSPACE
from apkiln.package.evaluation.evaluating import Evaluated
from apkiln.package.evaluation.references import Substitution

_NO_INPUTS: Mapping[str, str] = {}
LIBC_FLAVORS = ("gnu", "musl")
"""Choices of `--override-host-triplet-libc-substitution-flavor`."""

_TRIPLETS = {
    "x86_64": ("x86_64-pc-linux-F", "x86_64-unknown-linux-F"),
    "aarch64": ("aarch64-unknown-linux-F", "aarch64-unknown-linux-F"),
    "x86": ("i486-pc-linux-F", "i686-unknown-linux-F"),
    "armhf": ("arm-unknown-linux-Feabihf", "armv6-unknown-linux-Feabihf"),
    "armv7": ("armv7l-unknown-linux-Feabihf", "armv7-unknown-linux-Feabihf"),
    "ppc64le": ("powerpc64le-unknown-linux-F", "powerpc64le-unknown-linux-F"),
    "s390x": ("s390x-ibm-linux-F", "s390x-unknown-linux-F"),
    "riscv64": ("riscv64-unknown-linux-F", "riscv64-unknown-linux-F"),
    "loongarch64": ("loongarch64-unknown-linux-F", "loongarch64-unknown-linux-F"),
}
"""apk architecture to the GNU and the Rust triplet, F for the C library."""


class Scope:
    """Names and their values; iterating gives the names, for hints."""

    __slots__ = ("inputs", "values")

    def __init__(self, values: Mapping[str, str], inputs: Mapping[str, str] = _NO_INPUTS) -> None:
        self.values = values
        self.inputs = inputs

    def lookup(self, name: str) -> str | None:
        if name.startswith("inputs."):
            return self.inputs.get(name[7:])
        return self.values.get(name)

    def with_inputs(self, inputs: Mapping[str, str]) -> Scope:
        """The scope inside a pipeline."""
        return Scope(self.values, inputs)

    def __iter__(self) -> Iterator[str]:
        yield from self.values
        yield from (f"inputs.{name}" for name in self.inputs)


def triplets(arch: Arch, flavor: str) -> dict[str, str]:
    """`host.triplet.*` with this C library and `cross.triplet.*` with each; an unknown architecture stands for itself."""
    gnu, rust = _TRIPLETS.get(arch.apk, (f"{arch.apk}-unknown-linux-F", f"{arch.apk}-unknown-linux-F"))
    found = {"host.triplet.gnu": gnu.replace("F", flavor), "host.triplet.rust": rust.replace("F", flavor)}
    for name, libc in (("glibc", "gnu"), ("musl", "musl")):
        found |= {f"cross.triplet.gnu.{name}": gnu.replace("F", libc), f"cross.triplet.rust.{name}": rust.replace("F", libc)}
    return found


def main_scope(evaluated: Evaluated, arch: Arch, flavor: str, substitution: Substitution) -> Scope:
    """What the main package's build and test see."""
    definition = evaluated.definition
    name = definition.package.name.text
    packages = [name, *(subpackage.name.text for subpackage in definition.subpackages)]
    fixed = {
        "package.srcdir": WORKSPACE,
        "targets.outdir": OUTPUT,
        "targets.destdir": f"{OUTPUT}/{name}",
        "targets.contextdir": f"{OUTPUT}/{name}",
        "context.name": name,
        "build.arch": arch.apk,
        "build.goarch": arch.oci,
        **triplets(arch, flavor),
        **{f"targets.package.{package}": f"{OUTPUT}/{package}" for package in packages},
        **{f"options.{option.name}.enabled": _truth(option.name in evaluated.chosen) for option in definition.options},
    }
    return Scope(_completed(evaluated.values, fixed, substitution))


def subpackage_scope(scope: Scope, evaluated: Evaluated, name: str, substitution: Substitution) -> Scope:
    """What a subpackage's build and test see beside, or instead of, what the main package's do."""
    own = {
        "subpkg.name": name,
        "context.name": name,
        "targets.subpkgdir": f"{OUTPUT}/{name}",
        "targets.contextdir": f"{OUTPUT}/{name}",
    }
    return Scope(_completed({**scope.values, **evaluated.values}, own, substitution))


def _completed(values: Mapping[str, str], fixed: Mapping[str, str], substitution: Substitution) -> dict[str, str]:
    """All values, with what only this architecture knows put into the variables that refer to it."""
    merged = {**values, **fixed}
    for name, value in values.items():
        if "${{" in value:
            merged[name] = substitution.expand(value, NOWHERE, merged.get, merged)
    return merged


def _truth(value: bool) -> str:
    return "true" if value else "false"
