"""`apkiln package import`: a package out of files that something else made."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from apkiln.cli.analysis_arguments import add_rules_argument, analysis_rules

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import ExitStack
    from pathlib import Path

    from apkiln.cli.context import Context
    from apkiln.core.arch import Arch
    from apkiln.package.definition.model import PackageDefinition
    from apkiln.package.emission.request import EmittedPackage
    from apkiln.package.importing.describing import Description
    from apkiln.package.output_tree import OutputTree

NAME = "package import"
HELP = """Package what is built already: a directory, a tar archive (plain, gzip, xz, zstd) or a Debian package.

Nothing runs.  Files are analysed, linted, packed and signed as those of `package build` are; dependencies on libraries,
commands and interpreters follow from the files.  What else the package says comes from the flags, from a definition whose
main package it is (`--definition`), or from the control file of a Debian package.  Relations between Debian packages are left
out, and so are maintainer scripts: `apkiln deb import` takes whole sets of them over."""
EPILOG = """examples:
  apkiln package import build/root --name hello --version 1.2.3 --license MIT --signing-key build.rsa
  apkiln package import hello.tar.zst --definition hello.yaml --strip-components 1
  apkiln package import hello_1.2.3-1_amd64.deb --out-dir packages
"""


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("source", metavar="SOURCE", help="directory, tar archive or `.deb`")
    group = parser.add_argument_group("what the package says of itself")
    group.add_argument("--definition", metavar="FILE", help="package definition; its steps do not run")
    group.add_argument("--name", default="", metavar="NAME", help="name of the package")
    group.add_argument("--version", default="", metavar="VERSION", help="without the release number")
    group.add_argument("--epoch", type=int, default=None, metavar="N", help="release number (default: 0)")
    group.add_argument("--description", default="", metavar="TEXT", help="one line")
    group.add_argument("--url", default="", metavar="URL", help="where its project is")
    group.add_argument("--license", action="append", default=[], metavar="SPDX", help="may be repeated")
    group.add_argument("--depend", action="append", default=[], metavar="ITEM", help="further dependency; may be repeated")
    group.add_argument("--provide", action="append", default=[], metavar="ITEM", help="further provide; may be repeated")
    group.add_argument("--replace", action="append", default=[], metavar="ITEM", help="package whose files it takes over")
    group.add_argument("--arch", default="", metavar="ARCH", help="apk or OCI name (default: this machine's)")
    group.add_argument("--namespace", default="unknown", metavar="NAME", help="of package URLs, and the maintainer")
    files = parser.add_argument_group("files")
    files.add_argument(
        "--strip-components", type=int, default=0, metavar="N", help="leading parts of paths in an archive to drop"
    )
    files.add_argument(
        "--keep-owners", action="store_true", help="owners of a directory's files count (default: all of them are root's)"
    )
    add_output_arguments(parser)


def add_output_arguments(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("what comes out")
    group.add_argument("--out-dir", default="packages", metavar="DIR", help="default: ./packages")
    group.add_argument("--signing-key", default="", metavar="FILE", help="private key for the package")
    group.add_argument("--build-date", default="", metavar="TIME", help="RFC 3339 (default: 1970; SOURCE_DATE_EPOCH wins)")
    group.add_argument("--lint-require", default=None, metavar="LIST", help="checks that refuse")
    group.add_argument("--lint-warn", default=None, metavar="LIST", help="checks that only tell")
    group.add_argument("--persist-lint-results", action="store_true", help="write findings as JSON into OUT/ARCH")
    group.add_argument("--cyclonedx", action="store_true", help="write the bill of materials as CycloneDX, too")
    group.add_argument("--generate-provenance", action="store_true", help="write a signed statement of origin")
    group.add_argument("--overwrite", action="store_true", help="replace a package of the same version with other bytes")
    add_rules_argument(group)
    group.add_argument("--fast", action="store_true", help="compress fast, to other bytes on other processors; for trying out")


def run(arguments: argparse.Namespace, context: Context) -> int:
    from contextlib import ExitStack
    from pathlib import Path

    from apkiln.cli.package_build_arguments import signer_of
    from apkiln.formats.deflate.codec import canonical_codec, local_codec
    from apkiln.package.emission.emitting import EmissionAccess, emit
    from apkiln.system.files import DiskFiles
    from apkiln.system.spool import DiskSpools

    here = Path(context.settings.working_directory)
    codec = local_codec() if arguments.fast else canonical_codec()
    signers = signer_of(arguments.signing_key, here)
    access = EmissionAccess(DiskFiles(durable=False), here / arguments.out_dir, DiskSpools(), codec, signers)
    with ExitStack() as stack:
        subject = _Subject(arguments, context, stack)
        request = _request(arguments, context, subject)
        packages = emit(request, [subject.tree], access)
    _report(packages, context)
    return 0


class _Subject:
    """The files and the definition that they are packaged under."""

    def __init__(self, arguments: argparse.Namespace, context: Context, stack: ExitStack) -> None:
        from pathlib import Path

        self._arguments = arguments
        self._context = context
        self.date = 0
        self.arch = _arch(arguments.arch)
        self.path = Path(context.settings.working_directory, arguments.source)
        self.tree, self.definition = self._read(stack)

    def _read(self, stack: ExitStack) -> tuple[OutputTree, PackageDefinition]:
        from apkiln.core.errors import UnavailableError
        from apkiln.core.origin import Origin
        from apkiln.package.importing.archives import owned_by_root, read_archive
        from apkiln.package.output_tree import OutputTree
        from apkiln.system.files import DiskFiles
        from apkiln.system.spool import DiskSpools
        from apkiln.system.tree_reader import read_entries, read_file

        status = DiskFiles().status(self.path)
        if status is None:
            place = Origin(str(self.path))
            raise UnavailableError(f"`{self._arguments.source}` is not there", reason="missing-file", origin=place)
        if self.path.suffix == ".deb":
            return self._debian()
        definition = self._definition(self._described())
        name = definition.package.name.text
        if status.is_directory:
            root = self.path
            tree = OutputTree(name, read_entries(root), lambda path: read_file(root, path))
            return (tree if self._arguments.keep_owners else owned_by_root(tree)), definition
        stream = stack.enter_context(DiskFiles().open(self.path))
        spool = stack.enter_context(DiskSpools().spool())
        limits, strip = self._context.settings.limits, self._arguments.strip_components
        return read_archive(stream, status.size, name, spool, limits, strip_components=strip), definition

    def _debian(self) -> tuple[OutputTree, PackageDefinition]:
        from apkiln.core.arch import Arch
        from apkiln.debian.standalone import read_standalone
        from apkiln.package.output_tree import OutputTree
        from apkiln.system.files import DiskFiles

        with DiskFiles().open(self.path) as stream:
            found = read_standalone(stream, self.path.name, self._context.settings.limits)
        if found.left_out:
            self._context.reporter.note(f"maintainer scripts are left out: {', '.join(found.left_out)}")
        self.date = found.newest
        if found.arch and not self._arguments.arch:
            self.arch = Arch.parse(found.arch)
        definition = self._definition(
            self._described(found.name, found.version, found.epoch, found.description, found.url, found.licence)
        )
        tree = found.tree
        return OutputTree(definition.package.name.text, tree.entries, lambda path: (tree.contents[path],)), definition

    def _described(
        self, name: str = "", version: str = "", epoch: int = 0, description: str = "", url: str = "", licence: str = ""
    ) -> Description:
        """What the flags say, else what is given."""
        from apkiln.package.importing.describing import Description

        given = self._arguments
        return Description(
            name=given.name or name,
            version=given.version or version,
            epoch=epoch if given.epoch is None else given.epoch,
            description=given.description or description,
            url=given.url or url,
            licences=tuple(given.license) or ((licence,) if licence else ()),
            depends=tuple(given.depend),
            provides=tuple(given.provide),
            replaces=tuple(given.replace),
        )

    def _definition(self, description: Description) -> PackageDefinition:
        if not self._arguments.definition:
            from apkiln.package.importing.describing import definition_for

            return definition_for(description)
        from apkiln.cli.package_arguments import load_path
        from apkiln.package.compilation.compiling import CompilationSettings
        from apkiln.package.compilation.embedding import embedded
        from apkiln.package.compilation.resolving import resolve
        from apkiln.package.compilation.shelves import library_of
        from apkiln.package.evaluation.evaluating import NO_SETTINGS

        loaded = load_path(self._arguments.definition, NO_SETTINGS, self._context)
        resolved = resolve(loaded, self.arch, library_of([]), CompilationSettings(strict=True))
        # What it would have been built from is no part of how this package came about.
        return embedded(resolved.definition)._replace(pipeline=(), subpackages=())


def _arch(name: str) -> Arch:
    import os

    from apkiln.core.arch import Arch

    return Arch.parse(name if name not in ("", "host") else os.uname().machine)


def _request(arguments: argparse.Namespace, context: Context, subject: _Subject) -> Any:
    from apkiln.image.plan import parse_build_date, parse_epoch
    from apkiln.package.emission.request import BuildFacts, EmissionRequest

    epoch = context.settings.environment.get("SOURCE_DATE_EPOCH", "").strip()
    date = parse_build_date(arguments.build_date) if arguments.build_date else subject.date
    return EmissionRequest(
        definition=subject.definition,
        arch=subject.arch,
        source_date=parse_epoch(epoch) if epoch else date,
        namespace=arguments.namespace,
        materials=tuple(_material(subject.path)),
        facts=BuildFacts(runner="import", impurities=("the files were made elsewhere",)),
        keep_user_xattrs=False,
        lint=lint_settings(arguments),
        rules=analysis_rules(arguments, context),
        provenance=arguments.generate_provenance,
        cyclonedx=arguments.cyclonedx,
        lint_results=arguments.persist_lint_results,
        overwrite=arguments.overwrite,
    )


def _material(path: Path) -> Iterator[Any]:
    """The archive by its digest; a directory has none."""
    import hashlib

    from apkiln.package.emission.request import Material
    from apkiln.system.files import DiskFiles

    status = DiskFiles().status(path)
    if status is not None and status.is_file:
        digest = hashlib.sha256()
        with DiskFiles().open(path) as stream:
            while chunk := stream.read(1 << 20):
                digest.update(chunk)
        yield Material(path.name, (("sha256", digest.hexdigest()),), path.name)


def lint_settings(arguments: argparse.Namespace) -> Any:
    """What `--lint-require` and `--lint-warn` say.  UsageError `unknown-linter`."""
    from apkiln.package.analysis.linters.settings import LintSettings

    def names(text: str | None) -> tuple[str, ...] | None:
        return None if text is None else tuple(name for name in text.split(",") if name)

    return LintSettings(names(arguments.lint_require), names(arguments.lint_warn)).check()


def _report(packages: tuple[EmittedPackage, ...], context: Context) -> None:
    for package in packages:
        for note in package.notes:
            context.reporter.note(f"{package.info.name}: {note}")
        for finding in package.analysis.findings:
            context.reporter.note(f"{package.info.name}: {finding.linter}: {finding.message}")
        if context.settings.json:
            shown = {"name": package.info.name, "version": package.info.version, "path": str(package.path)}
            facts: dict[str, Any] = {"sha256": package.sha256.hex(), "size": package.size}
            lists = {"depends": list(package.info.depends), "provides": list(package.info.provides)}
            context.output.json(shown | facts | lists)
        else:
            context.output.print(str(package.path))
