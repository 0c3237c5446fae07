"""`apkiln package build`: packages from a definition."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from apkiln.cli.analysis_arguments import add_rules_argument, analysis_rules
from apkiln.cli.package_arguments import add_compilation_arguments, add_evaluation_arguments
from apkiln.cli.package_build_arguments import add_peer_arguments, add_root_arguments, add_sandbox_arguments

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path, PurePath

    from apkiln.cli.context import Context
    from apkiln.core.arch import Arch
    from apkiln.package.building.request import BuildAccess, BuildRequest, Built
    from apkiln.package.definition.model import PackageDefinition
    from apkiln.package.emission.request import EmissionRequest

NAME = "package build"
HELP = """Build the packages of a definition: declared sources are fetched and checked, the steps run in a sandbox without
network upon a root made of packages, and what they leave is analysed, packed, signed and listed in an index.  Either all
packages of the definition appear in OUT/ARCH, or none.

Equal inputs give equal bytes, as root and as an ordinary user.  Output of the steps goes to the error stream as it comes.
A definition that is not meant for the architecture is passed over, with exit code 0."""
EPILOG = """examples:
  apkiln package build hello.yaml -r https://packages.wolfi.dev/os -k wolfi-signing.rsa.pub
  apkiln package build hello.yaml -r ./packages -k local.rsa.pub --signing-key local.rsa --memory 4Gi --timeout 1h
  apkiln package build hello.yaml -r ./packages -k local.rsa.pub --interactive --debug
"""


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("config", nargs="?", default="", metavar="FILE", help="package definition, a melange YAML file")
    add_evaluation_arguments(parser)
    add_compilation_arguments(parser)
    add_root_arguments(parser)
    add_sandbox_arguments(parser)
    add_peer_arguments(parser)
    group = parser.add_argument_group("what is built from")
    group.add_argument("--source-dir", metavar="DIR", default="", help="files for the workspace (default: where FILE is)")
    group.add_argument("--empty-workspace", action="store_true", help="begin with an empty workspace")
    group.add_argument("--build-date", metavar="TIME", default="", help="RFC 3339 (default: 1970; SOURCE_DATE_EPOCH wins)")
    group.add_argument("--git-repo-url", metavar="URL", default="", help="repository of the definition (default: found)")
    group.add_argument("--license", metavar="EXPRESSION", default="NOASSERTION", help="licence of the definition itself")
    group.add_argument("--namespace", metavar="NAME", default="unknown", help="of package URLs, and the maintainer")
    group.add_argument("--organization", metavar="NAME", default="", help="who makes the documents (default: the namespace)")
    group.add_argument("--builder-id", metavar="URI", default="", help="names this builder in statements of origin")
    group.add_argument("--sbom-base", metavar="URI", default="", help="begins the names of bills of materials")
    output = parser.add_argument_group("what comes out")
    output.add_argument("--out-dir", metavar="DIR", default="packages", help="default: ./packages")
    output.add_argument("--signing-key", metavar="FILE", default="", help="private key for packages and index")
    output.add_argument("--generate-index", action=argparse.BooleanOptionalAction, default=True, help="list them in an index")
    output.add_argument("--generate-provenance", action=argparse.BooleanOptionalAction, default=None, help="statements of origin")
    output.add_argument("--cyclonedx", action="store_true", help="write bills of materials as CycloneDX beside the packages, too")
    output.add_argument(
        "--compression",
        choices=("canonical", "fast"),
        default="canonical",
        help="fast: for packages that never leave this machine; bytes differ between processors",
    )
    output.add_argument("--overwrite", action="store_true", help="replace a package of the same version with other bytes")
    output.add_argument("--strip-origin-name", action="store_true", help="each subpackage is its own origin")
    output.add_argument("--lint-require", metavar="LIST", default=None, help="checks that refuse")
    output.add_argument("--lint-warn", metavar="LIST", default=None, help="checks that only tell")
    add_rules_argument(output)
    output.add_argument("--create-build-log", action="store_true", help="add a line for each package to `packages.log`")
    output.add_argument("--dependency-log", metavar="FILE", default="", help="write generated relations as JSON to FILE.ARCH")
    output.add_argument("--persist-lint-results", action="store_true", help="write findings as JSON into OUT/ARCH")
    output.add_argument(
        "--keep-user-xattrs",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="packages have the `user.*` attributes that steps set",
    )
    output.add_argument("--strict-ids", action="store_true", help="refuse owners that the root does not know")
    output.add_argument("--allow-setcap", action="store_true", help="allow capabilities of files beyond the harmless ones")
    output.add_argument("--allow-env-secrets", action="store_true", help="variables named like secrets may go into packages")
    output.add_argument(
        "--result-store",
        metavar="DIR|s3://BUCKET/PREFIX",
        default="",
        help="keep results there, for other machines too; implies `--cache-results`",
    )
    output.add_argument(
        "--cache-results", action="store_true", help="take the result of equal inputs from the cache, and keep it there"
    )


def run(arguments: argparse.Namespace, context: Context) -> int:
    from apkiln.core.errors import ApkilnError

    try:
        definition, arch, digest = _resolved(arguments, context)
    except ApkilnError as error:
        if error.reason != "not-targeted":
            raise
        context.reporter.note(str(error))
        return 0
    request, access = _request(arguments, context, definition, arch, digest)
    from apkiln.package.building.building import build_package

    built = build_package(request, access)
    index = _write_index(arguments, built, access)
    _write_logs(arguments, built, context)
    _report(built, index, context)
    return 0


def _resolved(arguments: argparse.Namespace, context: Context) -> tuple[PackageDefinition, Arch, str]:
    import hashlib
    import os

    from apkiln.cli.package_arguments import (
        compilation_settings,
        definition_path,
        evaluation_settings,
        find_repository,
        pipeline_library,
        read_bytes,
        tell,
    )
    from apkiln.core.arch import Arch
    from apkiln.package.compilation.resolving import load, resolve

    arguments.config = definition_path(arguments, context)
    if not arguments.git_commit or not arguments.git_repo_url:
        url, commit = find_repository(arguments.config, context)
        arguments.git_commit = arguments.git_commit or commit
        arguments.git_repo_url = arguments.git_repo_url or url
    content = read_bytes(arguments.config, context)
    name = arguments.arch if arguments.arch not in ("", "host") else os.uname().machine
    loaded = load(content, arguments.config, evaluation_settings(arguments, context), context.settings.limits)
    settings = compilation_settings(arguments)._replace(strict=True)
    resolved = resolve(loaded, Arch.parse(name), pipeline_library(arguments, context), settings)
    tell(resolved.notes, context)
    return resolved.definition, resolved.arch, hashlib.sha256(content).hexdigest()


def _request(
    arguments: argparse.Namespace, context: Context, definition: PackageDefinition, arch: Arch, digest: str
) -> tuple[BuildRequest, BuildAccess]:
    from pathlib import Path

    from apkiln.cli import package_build_arguments as shared
    from apkiln.cli.access import open_access
    from apkiln.cli.result_store import open_result_store
    from apkiln.cli.source_arguments import source_access
    from apkiln.formats.deflate.codec import canonical_codec, local_codec
    from apkiln.package.building.request import BuildAccess, BuildRequest
    from apkiln.package.building.root import RootKind
    from apkiln.package.building.session import Network
    from apkiln.package.emission.emitting import EmissionAccess
    from apkiln.package.sources.planning import plan_sources
    from apkiln.system.clock import SystemClock
    from apkiln.system.files import DiskFiles
    from apkiln.system.spool import DiskSpools

    here = Path(context.settings.working_directory)
    output = here / arguments.out_dir
    access = open_access(context)
    runner = shared.open_runner(arguments, context)
    package = definition.package
    request = BuildRequest(
        definition=definition,
        arch=arch,
        emission=_emission(arguments, context, definition, arch, digest),
        guest_sources=shared.guest_sources(arguments),
        source_directory=_source_directory(arguments, here),
        excluded=(output, Path(context.settings.cache_directory)),
        network=Network(arguments.network),
        root=RootKind(runner.root),
        limits=shared.limits_of(arguments, package.resources, package.timeout),
        emulator=shared.emulator_of(arch, context),
        debug=arguments.debug,
        reuse_results=arguments.cache_results or bool(arguments.result_store),
    )
    has_sources = bool(plan_sources(definition).sources)
    signers = shared.signer_of(arguments.signing_key, here)
    codec = local_codec() if arguments.compression == "fast" else canonical_codec()
    made = BuildAccess(
        access=access,
        trees=shared.open_trees(context),
        owners=shared.owners_word(),
        sandbox=runner.sandbox,
        workspace=shared.workspaces(arguments, context, runner),
        emission=EmissionAccess(DiskFiles(), output, DiskSpools(), codec, signers),
        signers=signers,
        now=SystemClock().monotonic,
        tell=shared.line_teller(context, package.name.text),
        note=context.reporter.note,
        results=open_result_store(arguments.result_store, context),
        sources=source_access(arguments, context) if has_sources else None,
        on_failure=shared.shell_on_failure(arguments, context, runner),
        resolver=shared.resolver_file(),
        keep_workspace=arguments.keep_workspace,
        after_steps=_licence_check(definition, context),
    )
    return request, made


def _licence_check(definition: PackageDefinition, context: Context) -> Callable[[str], None]:
    """Tells of licence files in the workspace that the definition does not declare, and the other way round."""

    def check(directory: str) -> None:
        from pathlib import PurePath

        from apkiln.package.licences.searching import check_workspace
        from apkiln.system.files import DiskFiles

        for line in check_workspace(PurePath(directory), definition.package.copyright, DiskFiles()):
            context.reporter.note(line)

    return check


def _source_directory(arguments: argparse.Namespace, here: Path) -> PurePath | None:
    if arguments.empty_workspace:
        return None
    given: str = arguments.source_dir
    return here / given if given else (here / arguments.config).parent


def _emission(
    arguments: argparse.Namespace, context: Context, definition: PackageDefinition, arch: Arch, digest: str
) -> EmissionRequest:
    from pathlib import Path

    from apkiln.image.plan import parse_build_date, parse_epoch
    from apkiln.package.analysis.linters.settings import LintSettings
    from apkiln.package.compilation.embedding import embedded
    from apkiln.package.emission.request import BuildFacts, EmissionRequest

    epoch = context.settings.environment.get("SOURCE_DATE_EPOCH", "").strip()
    date = parse_build_date(arguments.build_date) if arguments.build_date else 0
    provenance = arguments.generate_provenance
    return EmissionRequest(
        definition=embedded(definition),
        arch=arch,
        source_date=parse_epoch(epoch) if epoch else date,
        namespace=arguments.namespace,
        definition_path=Path(arguments.config).name,
        definition_digest=digest,
        git_commit=arguments.git_commit,
        git_repository=arguments.git_repo_url,
        definition_licence=arguments.license,
        facts=BuildFacts(runner=arguments.runner, parameters=(("network", arguments.network),)),
        strip_origin=arguments.strip_origin_name,
        strict_ids=arguments.strict_ids,
        keep_user_xattrs=arguments.keep_user_xattrs,
        allow_setcap=arguments.allow_setcap,
        allow_secrets=arguments.allow_env_secrets,
        lint=LintSettings(_names(arguments.lint_require), _names(arguments.lint_warn)).check(),
        rules=analysis_rules(arguments, context),
        provenance=bool(arguments.signing_key) if provenance is None else provenance,
        organization=arguments.organization,
        document_base=arguments.sbom_base.rstrip("/"),
        builder=arguments.builder_id,
        cyclonedx=arguments.cyclonedx,
        lint_results=arguments.persist_lint_results,
        overwrite=arguments.overwrite,
    )


def _names(text: str | None) -> tuple[str, ...] | None:
    return None if text is None else tuple(name for name in text.split(",") if name)


def _write_index(arguments: argparse.Namespace, built: Built, access: BuildAccess) -> str:
    """Path of the index; empty when none was asked for."""
    if not arguments.generate_index or not built.packages:
        return ""
    from apkiln.package.building.output_index import update_index
    from apkiln.system.files import DiskFiles

    return str(update_index(built.packages, access.signers, DiskFiles(), access.emission.codec, access.access.limits))


def _write_logs(arguments: argparse.Namespace, built: Built, context: Context) -> None:
    """melange's two logs, where they are asked for."""
    from pathlib import Path

    from apkiln.core import canonical_json
    from apkiln.system.files import DiskFiles

    here, files = Path(context.settings.working_directory), DiskFiles(durable=False)
    if arguments.create_build_log:
        path = here / "packages.log"
        before = files.read(path, 1 << 26) if files.status(path) is not None else b""
        rows = [f"{item.info.arch}|{item.info.origin}|{item.info.name}|{item.info.version}\n" for item in built.packages]
        with files.create(path, replace=True) as stream:
            stream.write(before + "".join(rows).encode())
    if arguments.dependency_log and built.packages:
        found = {
            item.info.name: {"depends": item.info.depends, "provides": item.info.provides, "vendored": item.analysis.vendored}
            for item in built.packages
        }
        with files.create(here / f"{arguments.dependency_log}.{built.packages[0].info.arch}", replace=True) as stream:
            stream.write(
                canonical_json.encode_pretty({name: {k: list(v) for k, v in row.items()} for name, row in found.items()})
            )


def _report(built: Built, index: str, context: Context) -> None:
    for package in built.packages:
        for remark in package.notes:
            context.reporter.note(f"{package.info.name}: {remark}")
        for finding in package.analysis.findings:
            context.reporter.note(f"{package.info.name}: {finding.linter}: {finding.message}")
    if built.workspace:
        context.reporter.note(f"the workspace was left in `{built.workspace}`")
    if context.settings.json:
        rows = [
            {
                "name": item.info.name,
                "version": item.info.version,
                "path": str(item.path),
                "sha256": item.sha256.hex(),
                "size": item.size,
            }
            for item in built.packages
        ]
        context.output.json(
            {
                "packages": rows,
                "index": index,
                "reused": built.reused,
                "key": built.key,
                "step_milliseconds": round(built.seconds * 1000),
                "peak_memory": built.peak_memory,
            }
        )
        return
    for item in built.packages:
        context.output.print(str(item.path))
