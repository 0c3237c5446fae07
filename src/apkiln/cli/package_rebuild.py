"""`apkiln package rebuild`: the proof that a package is what its definition makes."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from apkiln.cli.package_build_arguments import add_peer_arguments, add_root_arguments, add_sandbox_arguments

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from apkiln.cli.context import Context
    from apkiln.package.building.request import Built
    from apkiln.package.rebuilding.comparing import Rebuilt
    from apkiln.package.rebuilding.evidence import Evidence, Recipe

NAME = "package rebuild"
HELP = """Build published packages again from what they carry (definition, exact packages of the root, date, commit) and compare
every byte but the signature; no key is needed.  Packages of one build are given together or one by one.

Exit code 0: the same bytes.  10: they differ, and in what.  8: something needed is not there any more, and what."""
EPILOG = """examples:
  apkiln package rebuild packages/x86_64/zlib-1.2.13-r0.apk -r ./base -k base.rsa.pub
  apkiln package rebuild packages/x86_64/zlib*.apk -r ./base -k base.rsa.pub --report rebuild.json
"""


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("packages", nargs="+", metavar="APK", help="package files")
    add_root_arguments(parser)
    add_sandbox_arguments(parser)
    add_peer_arguments(parser)
    group = parser.add_argument_group("rebuilding")
    group.add_argument("--source-dir", metavar="DIR", default="", help="files that were in the workspace (default: none)")
    group.add_argument("--out-dir", metavar="DIR", default="", help="keep what was built here (default: it is thrown away)")
    group.add_argument(
        "--diff", action=argparse.BooleanOptionalAction, default=True, help="fail where bytes differ; otherwise only tell"
    )
    parser.add_argument("--signing-key", action="append", help=argparse.SUPPRESS)
    group.add_argument("--report", metavar="FILE", default="", help="write what was found as JSON")


def run(arguments: argparse.Namespace, context: Context) -> int:
    from apkiln.core.errors import ViolationError

    groups: dict[str, list[str]] = {}
    for name in arguments.packages:
        evidence, _ = _read(name, context)
        groups.setdefault(f"{evidence.info.origin} {evidence.info.version}", []).append(name)
    rows: list[dict[str, object]] = []
    for names in groups.values():
        rows += _rebuilt(names, arguments, context)
    _tell(rows, arguments, context)
    different = [row for row in rows if row["differences"]]
    if different and arguments.diff:
        context.output.flush()
        lines = [f"{row['package']}: {line}" for row in different for line in _lines(row)]
        message = f"{len(different)} of {len(rows)} packages differ from what their definition makes"
        raise ViolationError(message, reason="rebuild-differs", details=lines)
    return 0


def _lines(row: dict[str, object]) -> list[str]:
    found = row["differences"]
    assert isinstance(found, list)
    return found


def _read(name: str, context: Context) -> tuple[Evidence, Rebuilt]:
    """The package file and what it carries.  Raises what reading raises."""
    import hashlib
    from pathlib import Path

    from apkiln.formats.apk.control import read_control
    from apkiln.formats.apk.package import read_package
    from apkiln.formats.apk.pkginfo import write
    from apkiln.formats.apk.policy import COMPAT
    from apkiln.package.analysis.published import DEFINITION
    from apkiln.package.rebuilding.comparing import Rebuilt
    from apkiln.package.rebuilding.evidence import Evidence

    limits = context.settings.limits
    with Path(context.settings.working_directory, name).open("rb") as stream:
        definition = dict(read_control(stream, limits, COMPAT).other_files).get(DEFINITION, b"")
        stream.seek(0)
        bill = _BillReader()
        contents = read_package(stream, limits, COMPAT, bill)
        members = []
        for offset, length in contents.sections[1:]:
            stream.seek(offset)
            members.append(hashlib.sha256(stream.read(length)).digest())
    texts = ((".PKGINFO", write(contents.info).decode()), (DEFINITION, definition.decode("utf-8", "replace")))
    evidence = Evidence(name, contents.info, definition, bytes(bill.found))
    return evidence, Rebuilt(contents, (members[0], members[1]), texts)


class _BillReader:
    """Takes the package's own bill of materials out of the verified read."""

    def __init__(self) -> None:
        self.found = bytearray()
        self._open = False

    def entry(self, entry: object) -> None:
        path = str(getattr(entry, "path", ""))
        self._open = path.startswith("var/lib/db/sbom/") and path.endswith(".spdx.json")

    def content(self, chunk: bytes) -> None:
        if self._open:
            self.found += chunk


def _rebuilt(names: Sequence[str], arguments: argparse.Namespace, context: Context) -> list[dict[str, object]]:
    from pathlib import Path
    from tempfile import TemporaryDirectory

    from apkiln.package.rebuilding.comparing import differences
    from apkiln.package.rebuilding.evidence import recipe_of

    found = [_read(name, context) for name in names]
    recipe = recipe_of([evidence for evidence, _ in found])
    rows: list[dict[str, object]] = []
    with TemporaryDirectory(prefix="apkiln-rebuild-") as temporary:
        output = Path(context.settings.working_directory, arguments.out_dir) if arguments.out_dir else Path(temporary)
        built = _build(recipe, output, arguments, context)
        made = {package.info.name: str(package.path) for package in built.packages}
        for evidence, published in found:
            again = _read(made[evidence.info.name], context)[1]
            rows.append(
                {
                    "package": evidence.info.name_version,
                    "file": evidence.source,
                    "differences": list(differences(published, again)),
                }
            )
    return rows


def _build(recipe: Recipe, output: Path, arguments: argparse.Namespace, context: Context) -> Built:
    from pathlib import Path

    from apkiln.cli import package_build_arguments as shared
    from apkiln.cli.access import open_access
    from apkiln.cli.source_arguments import source_access
    from apkiln.formats.deflate.codec import canonical_codec
    from apkiln.package.building.building import build_package
    from apkiln.package.building.request import BuildAccess, BuildRequest
    from apkiln.package.building.root import RootKind
    from apkiln.package.building.session import Network
    from apkiln.package.compilation.resolving import load, resolve
    from apkiln.package.compilation.shelves import library_of
    from apkiln.package.emission.emitting import EmissionAccess
    from apkiln.package.emission.request import EmissionRequest
    from apkiln.package.sources.planning import plan_sources
    from apkiln.system.clock import SystemClock
    from apkiln.system.files import DiskFiles
    from apkiln.system.spool import DiskSpools

    loaded = load(recipe.definition, recipe.definition_path, limits=context.settings.limits)
    definition = resolve(loaded, recipe.arch, library_of(())).definition
    runner = shared.open_runner(arguments, context)
    emission = EmissionRequest(
        definition=definition,
        arch=recipe.arch,
        source_date=recipe.source_date,
        namespace=recipe.namespace,
        definition_path=recipe.definition_path,
        git_commit=recipe.git_commit,
        git_repository=recipe.git_repository,
        definition_licence=recipe.definition_licence,
        allow_setcap=True,
        allow_secrets=True,
        overwrite=True,
    )
    source = Path(context.settings.working_directory, arguments.source_dir) if arguments.source_dir else None
    request = BuildRequest(
        definition=definition,
        arch=recipe.arch,
        emission=emission,
        guest_sources=shared.guest_sources(arguments),
        source_directory=source,
        network=Network(arguments.network),
        root=RootKind(runner.root),
        limits=shared.limits_of(arguments, definition.package.resources, definition.package.timeout),
        emulator=shared.emulator_of(recipe.arch, context),
        debug=arguments.debug,
    )
    has_sources = bool(plan_sources(definition).sources)
    access = BuildAccess(
        access=open_access(context),
        trees=shared.open_trees(context),
        owners=shared.owners_word(),
        sandbox=runner.sandbox,
        workspace=shared.workspaces(arguments, context, runner),
        emission=EmissionAccess(DiskFiles(durable=False), output, DiskSpools(), canonical_codec()),
        signers=(),
        now=SystemClock().monotonic,
        tell=shared.line_teller(context, definition.package.name.text),
        note=context.reporter.note,
        sources=source_access(arguments, context) if has_sources else None,
        on_failure=shared.shell_on_failure(arguments, context, runner),
        resolver=shared.resolver_file(),
    )
    return build_package(request, access)


def _tell(rows: list[dict[str, object]], arguments: argparse.Namespace, context: Context) -> None:
    from pathlib import Path

    from apkiln.core import canonical_json
    from apkiln.system.files import DiskFiles

    document = {"packages": rows}
    if arguments.report:
        with DiskFiles(durable=False).create(Path(context.settings.working_directory, arguments.report), replace=True) as stream:
            stream.write(canonical_json.encode_pretty(document))
    if context.settings.json:
        context.output.json(document)
        return
    for row in rows:
        context.output.print(f"{'differs' if row['differences'] else 'identical'}  {row['package']}")
