"""Arguments of every command that builds an image, and the image they give, complete in the cache (spec image.md §3)."""

from __future__ import annotations

import argparse
from pathlib import Path

from apkiln.cli.resolve_arguments import add_lock_arguments, add_resolve_arguments, definition_directory, resolve_definition

TYPE_CHECKING = False
if TYPE_CHECKING:
    from apkiln.cli.context import Context
    from apkiln.cli.resolve_arguments import Resolved
    from apkiln.formats.oci.reference import Reference
    from apkiln.image.building import BuiltImage
    from apkiln.system.script_sandbox import ScriptMachine
    from apkiln.system.store import Store


def add_build_arguments(parser: argparse.ArgumentParser) -> None:
    """`CONFIG`, what adds to it, what decides about packages, bills of materials and files."""
    add_resolve_arguments(parser)
    add_lock_arguments(parser)
    group = parser.add_argument_group("what is built")
    group.add_argument("--sbom", action=argparse.BooleanOptionalAction, default=True, help="write bills of materials")
    group.add_argument("--sbom-lenient", action="store_true", help="pass over unusable bills that packages ship")
    group.add_argument("--sbom-formats", metavar="LIST", default="", help="`spdx`, `cyclonedx` (default: spdx)")
    group.add_argument("--vcs", action=argparse.BooleanOptionalAction, default=True, help="name source and revision")
    group.add_argument(
        "--layer-compression", choices=("gzip", "zstd"), default="gzip", help="zstd is smaller, and read by fewer programs"
    )
    group.add_argument(
        "--scripts",
        choices=("report", "ignore", "fail", "sandbox"),
        default="",
        help="package scripts are replaced by rules; those that cannot be are told of, ignored, refused, or run in the sandbox",
    )
    files = parser.add_argument_group("files")
    files.add_argument("--strict-origin", action="store_true", help="packages of one origin may not overwrite each other")
    files.add_argument("--no-identical", action="store_true", help="equal files of two packages are a conflict too")
    files.add_argument("--force-overwrite", metavar="GLOB", action="append", default=[], help="paths that may be overwritten")
    files.add_argument("--allow-devices", action="store_true", help="packages may ship device nodes")
    files.add_argument("--allow-missing-bundle", action="store_true", help="certificates without a bundle are no error")


def build_definition(arguments: argparse.Namespace, context: Context, reference: Reference) -> tuple[BuiltImage, Store]:
    """The image, and the store that holds its layers; remarks go to the reporter."""
    from apkiln.formats.deflate.codec import ZSTD_3, canonical_codec, codec_named
    from apkiln.image.bills import BillRequest, parse_formats
    from apkiln.image.building import BuildOptions, build_image
    from apkiln.rootfs.segments import SegmentWriter
    from apkiln.rootfs.tree_plan import OwnershipPolicy

    codec = codec_named(ZSTD_3.name) if arguments.layer_compression == "zstd" else canonical_codec()
    resolved = resolve_definition(arguments, context, lambda access: lambda _: SegmentWriter(access.store, codec))
    configuration = resolved.loaded.configuration
    revision = _revision(arguments, context, resolved) if arguments.vcs else ""
    wanted = arguments.sbom_formats or ",".join(configuration.sbom.formats)
    formats = parse_formats(wanted) if arguments.sbom else ()
    options = BuildOptions(
        codec,
        OwnershipPolicy(
            allow_identical=not arguments.no_identical,
            strict_origin=arguments.strict_origin,
            force_overwrite=tuple(arguments.force_overwrite),
            allow_devices=arguments.allow_devices,
        ),
        revision,
        definition_directory(arguments, context),
        arguments.allow_missing_bundle,
        BillRequest(reference.name, configuration.sbom, configuration.vcs_url or revision, arguments.sbom_lenient),
        formats,
        arguments.scripts,
        _script_machine(context) if "sandbox" in (arguments.scripts or configuration.scripts) else None,
    )
    built = build_image(configuration, resolved.resolution, options, resolved.access)
    for item in built.architectures:
        if context.settings.verbosity > 0:
            for script in item.tree.scripts:
                context.reporter.note(f"{item.arch.apk}: {script}")
        for notice in item.notices:
            context.reporter.note(f"{item.arch.apk}: {notice}" if len(built.architectures) > 1 else notice)
    return built, resolved.access.store


def _script_machine(context: Context) -> ScriptMachine:
    from apkiln.system.bubblewrap import BubblewrapSandbox
    from apkiln.system.script_sandbox import SandboxedScripts

    return SandboxedScripts(BubblewrapSandbox(context.settings.environment.get("PATH", "/usr/bin:/bin")))


def _revision(arguments: argparse.Namespace, context: Context, resolved: Resolved) -> str:
    from apkiln.image.revision import find_revision

    if resolved.loaded.configuration.vcs_url:
        return ""
    working_directory = Path(context.settings.working_directory)
    return find_revision(resolved.access.files, definition_directory(arguments, context), working_directory)
