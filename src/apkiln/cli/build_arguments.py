"""Arguments of every command that builds an image, and the image they give, complete in the cache (spec image.md §3)."""

from __future__ import annotations

import argparse
from pathlib import Path

from apkiln.cli.resolve_arguments import add_lock_arguments, add_resolve_arguments, definition_directory, resolve_definition
from apkiln.core.named_tuple import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from apkiln.acquire.access import Access
    from apkiln.acquire.packages import SinkFactory
    from apkiln.cli.context import Context
    from apkiln.cli.resolve_arguments import Resolved
    from apkiln.formats.deflate.codec import Codec
    from apkiln.formats.oci.reference import Reference
    from apkiln.image.building import BuiltImage
    from apkiln.image.finished import FinishedImage
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


def finished_definition(arguments: argparse.Namespace, context: Context, reference: Reference) -> tuple[FinishedImage, Store]:
    """The image as it is published, and the store that holds its layers.  One that was built before from the same plan, with the
    same arguments, is not built again.  Remarks go to the reporter."""
    from apkiln.image.remembered_images import image_key, remember_image, remembered_image

    request = _requested(arguments, context)
    store = request.resolved.access.store
    described = _described(request, arguments, context, reference)
    key = image_key(described) if described else ""
    known = remembered_image(store, key) if described else None
    if known is None:
        known = _build(request, arguments, context, reference).finished()
        if described:
            remember_image(store, key, known)
    _tell_notices([(item.arch.apk, item.notices) for item in known.architectures], context)
    return known, store


def build_definition(arguments: argparse.Namespace, context: Context, reference: Reference) -> tuple[BuiltImage, Store]:
    """The image with all that is known of it, and the store that holds its layers; remarks go to the reporter."""
    request = _requested(arguments, context)
    built = _build(request, arguments, context, reference)
    _tell_notices([(item.arch.apk, item.notices) for item in built.architectures], context)
    return built, request.resolved.access.store


class _Requested(NamedTuple):
    """What is to be built."""

    resolved: Resolved
    codec: Callable[[], Codec]
    """Of the layers; asking for it tests the library that makes them."""
    revision: str


def _requested(arguments: argparse.Namespace, context: Context) -> _Requested:
    def codec() -> Codec:
        from apkiln.formats.deflate.codec import ZSTD_3, canonical_codec, codec_named

        return codec_named(ZSTD_3.name) if arguments.layer_compression == "zstd" else canonical_codec()

    def sinks(access: Access) -> SinkFactory:
        from apkiln.rootfs.segments import SegmentWriter

        chosen = codec()
        return lambda _: SegmentWriter(access.store, chosen)

    resolved = resolve_definition(arguments, context, sinks)
    return _Requested(resolved, codec, _revision(arguments, context, resolved) if arguments.vcs else "")


_CODE = ("core", "formats", "image", "rootfs")
"""Where the code lies that decides about the bytes of an image of given packages."""
_ELSEWHERE = frozenset({
    "attach_sbom", "cache_dir", "command", "config", "dry_run", "force", "image_refs", "jobs", "json", "local", "log_format",
    "no_arch_suffix", "offline", "out", "output", "plain_http", "quiet", "retries", "sbom_path", "tag", "verbose",
})  # fmt: skip
"""Arguments that decide nothing about the bytes of an image beside its plan and name; all others are taken to."""


def _described(request: _Requested, arguments: argparse.Namespace, context: Context, reference: Reference) -> tuple[object, ...]:
    """All that the image depends on; nothing for images that depend on more: local files, base images, what scripts do."""
    configuration, resolution = request.resolved.loaded.configuration, request.resolved.resolution
    reads_more = any(item.from_path for item in configuration.paths) or configuration.contents.baseimage is not None
    if reads_more or "sandbox" in (arguments.scripts or configuration.scripts) or context.settings.verbosity > 0:
        return ()
    from apkiln import __version__
    from apkiln.system.own_code import code_state

    return (
        __version__,
        code_state(_CODE),
        configuration,
        resolution.plan,
        resolution.keyring,
        request.revision,
        reference.name,
        sorted((name, value) for name, value in vars(arguments).items() if name not in _ELSEWHERE),
    )


def _build(request: _Requested, arguments: argparse.Namespace, context: Context, reference: Reference) -> BuiltImage:
    from apkiln.image.bills import BillRequest, parse_formats
    from apkiln.image.building import BuildOptions, build_image
    from apkiln.rootfs.tree_plan import OwnershipPolicy

    configuration = request.resolved.loaded.configuration
    wanted = arguments.sbom_formats or ",".join(configuration.sbom.formats)
    options = BuildOptions(
        request.codec(),
        OwnershipPolicy(
            allow_identical=not arguments.no_identical,
            strict_origin=arguments.strict_origin,
            force_overwrite=tuple(arguments.force_overwrite),
            allow_devices=arguments.allow_devices,
        ),
        request.revision,
        definition_directory(arguments, context),
        arguments.allow_missing_bundle,
        BillRequest(reference.name, configuration.sbom, configuration.vcs_url or request.revision, arguments.sbom_lenient),
        parse_formats(wanted) if arguments.sbom else (),
        arguments.scripts,
        _script_machine(context) if "sandbox" in (arguments.scripts or configuration.scripts) else None,
    )
    built = build_image(configuration, request.resolved.resolution, options, request.resolved.access)
    if context.settings.verbosity > 0:
        for item in built.architectures:
            for script in item.tree.scripts:
                context.reporter.note(f"{item.arch.apk}: {script}")
    return built


def _tell_notices(told: Sequence[tuple[str, Iterable[str]]], context: Context) -> None:
    for arch, notices in told:
        for notice in notices:
            context.reporter.note(f"{arch}: {notice}" if len(told) > 1 else notice)


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
