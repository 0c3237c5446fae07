"""`apkiln image build`: a definition becomes an image in a directory or an archive."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from apkiln.cli.resolve_arguments import add_resolve_arguments, resolve_definition

if TYPE_CHECKING:
    from pathlib import Path

    from apkiln.cli.context import Context
    from apkiln.cli.resolve_arguments import Resolved
    from apkiln.image.building import BuiltImage
    from apkiln.image.output import OutputTarget

NAME = "image build"
HELP = """Build an image from a definition.

OUT names a directory, which gets an OCI layout and must be empty or absent, or a file that ends in `.tar`, which becomes
a docker archive.  Nothing appears under that name before the whole image is there.  The same definition, repositories
and cache or no cache give the same bytes on every machine.  SOURCE_DATE_EPOCH dates what the builder writes."""
EPILOG = """examples:
  apkiln image build image.yaml example.com/app:1.0 out/
  apkiln image build image.yaml app:latest app.tar --arch x86_64
  apkiln image build image.yaml app:latest --output type=oci-archive,dest=app.oci.tar
  apkiln image build image.yaml app:latest out/ --offline --json
"""


def configure(parser: argparse.ArgumentParser) -> None:
    add_resolve_arguments(parser)
    parser.add_argument("tag", metavar="TAG", help="reference that the image gets, such as `example.com/app:1.0`")
    parser.add_argument("out", metavar="OUT", nargs="?", help="directory, or file ending in `.tar`")
    group = parser.add_argument_group("output")
    group.add_argument("--output", metavar="type=KIND,dest=PATH", help="`oci-dir`, `oci-archive`, `docker` or `rootfs`")
    group.add_argument("--no-arch-suffix", action="store_true", help="docker archives of several architectures: one tag")
    group.add_argument("--sbom", action=argparse.BooleanOptionalAction, default=True, help="write bills of materials")
    group.add_argument("--sbom-path", metavar="DIR", help="where bills of materials go (default: beside the image)")
    group.add_argument("--sbom-lenient", action="store_true", help="pass over unusable bills that packages ship")
    group.add_argument("--sbom-formats", metavar="LIST", default="", help="`spdx`, `cyclonedx` (default: spdx)")
    group.add_argument("--vcs", action=argparse.BooleanOptionalAction, default=True, help="name source and revision")
    files = parser.add_argument_group("files")
    files.add_argument("--strict-origin", action="store_true", help="packages of one origin may not overwrite each other")
    files.add_argument("--no-identical", action="store_true", help="equal files of two packages are a conflict too")
    files.add_argument("--force-overwrite", metavar="GLOB", action="append", default=[], help="paths that may be overwritten")
    files.add_argument("--allow-devices", action="store_true", help="packages may ship device nodes")
    files.add_argument("--allow-missing-bundle", action="store_true", help="certificates without a bundle are no error")


def run(arguments: argparse.Namespace, context: Context) -> int:
    from pathlib import Path

    from apkiln.formats.deflate.codec import canonical_codec
    from apkiln.formats.oci.reference import parse_reference
    from apkiln.image.bills import BillRequest, parse_formats
    from apkiln.image.building import BuildOptions, build_image
    from apkiln.image.output import Publication, write_image
    from apkiln.rootfs.tree_plan import OwnershipPolicy
    from apkiln.system.files import DiskFiles

    reference = parse_reference(arguments.tag)
    target, place = _target(arguments, context)
    resolved = resolve_definition(arguments, context)
    configuration = resolved.loaded.configuration
    revision = _revision(arguments, context, resolved) if arguments.vcs else ""
    wanted = arguments.sbom_formats or ",".join(configuration.sbom.formats)
    formats = parse_formats(wanted) if arguments.sbom else ()
    options = BuildOptions(
        canonical_codec(),
        OwnershipPolicy(
            allow_identical=not arguments.no_identical,
            strict_origin=arguments.strict_origin,
            force_overwrite=tuple(arguments.force_overwrite),
            allow_devices=arguments.allow_devices,
        ),
        revision,
        _definition_directory(arguments, context),
        arguments.allow_missing_bundle,
        BillRequest(reference.name, configuration.sbom, configuration.vcs_url or revision, arguments.sbom_lenient),
        formats,
    )
    built = build_image(configuration, resolved.resolution, options, resolved.access)
    for item in built.architectures:
        for notice in item.notices:
            context.reporter.note(f"{item.arch.apk}: {notice}" if len(built.architectures) > 1 else notice)
    bills_place = Path(context.settings.working_directory, arguments.sbom_path) if arguments.sbom_path else None
    write_image(
        DiskFiles(durable=False),
        resolved.access.store,
        built,
        Publication(target, place, reference, bills_place, suffix=not arguments.no_arch_suffix),
    )
    _report(built, target, arguments, context)
    return 0


def _target(arguments: argparse.Namespace, context: Context) -> tuple[OutputTarget, Path]:
    """Where the image goes; refused before any work when it cannot go there."""
    from pathlib import Path

    from apkiln.core.errors import UsageError
    from apkiln.image.output import check_target, default_output, parse_output
    from apkiln.system.files import DiskFiles

    if bool(arguments.out) == bool(arguments.output):
        raise UsageError("give either OUT or `--output`", reason="bad-arguments")
    target = parse_output(arguments.output) if arguments.output else default_output(arguments.out)
    place = Path(context.settings.working_directory, target.path)
    check_target(DiskFiles(), target, place)
    return target, place


def _definition_directory(arguments: argparse.Namespace, context: Context) -> Path:
    from pathlib import Path

    return Path(context.settings.working_directory, arguments.config).parent


def _revision(arguments: argparse.Namespace, context: Context, resolved: Resolved) -> str:
    from pathlib import Path

    from apkiln.image.revision import find_revision

    if resolved.loaded.configuration.vcs_url:
        return ""
    working_directory = Path(context.settings.working_directory)
    return find_revision(resolved.access.files, _definition_directory(arguments, context), working_directory)


def _report(built: BuiltImage, target: OutputTarget, arguments: argparse.Namespace, context: Context) -> None:
    from apkiln.formats.oci.documents import describe, encode_index
    from apkiln.formats.oci.media_types import INDEX

    index = describe(INDEX, encode_index(built.index)).digest
    if context.settings.json:
        context.output.json(
            {
                "tag": arguments.tag,
                "output": {"type": target.kind.value, "path": target.path},
                "digest": str(index),
                "images": [
                    {
                        "arch": item.arch.apk,
                        "platform": item.arch.oci,
                        "digest": str(item.image.descriptor.digest),
                        "layers": [
                            {
                                "digest": str(layer.layer.digests.digest),
                                "diffID": str(layer.layer.digests.diff_id),
                                "size": layer.layer.digests.size,
                            }
                            for layer in item.layers
                        ],
                        "packages": [segment.files.name_version for segment in item.segments],
                        "notices": list(item.notices),
                    }
                    for item in built.architectures
                ],
            }
        )
        return
    for item in built.architectures:
        context.output.print(f"{item.image.descriptor.digest} {item.arch.oci}")
    context.output.print(f"{index} index")
