"""`apkiln image build`: a definition becomes an image in a directory or an archive."""

from __future__ import annotations

import argparse

from apkiln.cli.build_arguments import add_build_arguments, build_definition, finished_definition

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from apkiln.cli.context import Context
    from apkiln.core.digest import Digest
    from apkiln.formats.oci.documents import Index
    from apkiln.image.building import BuiltArchitecture, BuiltImage
    from apkiln.image.documents import BuiltLayer
    from apkiln.image.exports.file_systems import Toolbox
    from apkiln.image.finished import FinishedImage
    from apkiln.image.output import OutputKind, OutputTarget
    from apkiln.image.scripts.effects import ScriptReport
    from apkiln.rootfs.segments import Segment

NAME = "image build"
HELP = """Build an image from a definition.

OUT names a directory, which gets an OCI layout, or a file that ends in `.tar`, which becomes a docker archive.  A directory
must be empty or absent, a file absent, unless `--force` is given: it replaces an image, and nothing else.

`--output` names other forms: `rootfs` is the tree as a tar archive, `cpio` an initial RAM file system, both compressed when
the name ends in `.gz` or `.zst`; `erofs` and `squashfs` are file systems, made by erofs-utils and squashfs-tools, and also
take `compression=NAME`.  Nothing appears under a name before the whole image is there.  The same definition, repositories
and cache or no cache give the same bytes on every machine.  SOURCE_DATE_EPOCH dates what the builder writes."""
EPILOG = """examples:
  apkiln image build image.yaml example.com/app:1.0 out/
  apkiln image build image.yaml app:latest app.tar --arch x86_64
  apkiln image build image.yaml app:latest --output type=oci-archive,dest=app.oci.tar
  apkiln image build image.yaml app:latest --output type=squashfs,dest=app.squashfs --arch x86_64
  apkiln image build image.yaml app:latest out/ --offline --json
"""


def configure(parser: argparse.ArgumentParser) -> None:
    add_build_arguments(parser)
    parser.add_argument("tag", metavar="TAG", help="reference that the image gets, such as `example.com/app:1.0`")
    parser.add_argument("out", metavar="OUT", nargs="?", help="directory, or file ending in `.tar`")
    group = parser.add_argument_group("output")
    group.add_argument(
        "--output",
        metavar="type=KIND,dest=PATH",
        help="`oci-dir`, `oci-archive`, `docker`, `rootfs`, `cpio`, `erofs`, `squashfs`",
    )
    group.add_argument("--no-arch-suffix", action="store_true", help="docker archives of several architectures: one tag")
    group.add_argument("--sbom-path", metavar="DIR", help="where bills of materials go (default: beside the image)")
    group.add_argument("--force", action="store_true", help="replace an image that is there already")


def run(arguments: argparse.Namespace, context: Context) -> int:
    from apkiln.core.errors import UsageError
    from apkiln.image.output import default_output, parse_output

    if bool(arguments.out) == bool(arguments.output):
        raise UsageError("give either OUT or `--output`", reason="bad-arguments")
    target = parse_output(arguments.output) if arguments.output else default_output(arguments.out)
    return build_to(target, arguments, context)


def build_to(target: OutputTarget, arguments: argparse.Namespace, context: Context) -> int:
    """Build the definition, publish the image as `target`, and report; the exit code."""
    from pathlib import Path

    from apkiln.formats.oci.reference import parse_reference
    from apkiln.image.output import BLOB_KINDS, Publication, check_target, write_finished, write_image
    from apkiln.system.files import DiskFiles

    reference = parse_reference(arguments.tag)
    place = Path(context.settings.working_directory, target.path)
    tools = _tools(target.kind, context)
    check_target(DiskFiles(), target, place, tools, replace=arguments.force)
    bills_place = Path(context.settings.working_directory, arguments.sbom_path) if arguments.sbom_path else None
    suffix = not arguments.no_arch_suffix
    publication = Publication(target, place, reference, bills_place, suffix=suffix, replace=arguments.force)
    files = DiskFiles(durable=False)
    if target.kind in BLOB_KINDS and not context.settings.json:
        finished, store = finished_definition(arguments, context, reference)
        write_finished(files, store, finished, publication)
        _report(finished, context)
        return 0
    built, store = build_definition(arguments, context, reference)
    write_image(files, store, built, publication, tools)
    if context.settings.json:
        context.output.json(_value(built, target, arguments.tag))
    else:
        _report(built.finished(), context)
    return 0


def _tools(kind: OutputKind, context: Context) -> Toolbox | None:
    from apkiln.image.output import FILE_SYSTEMS

    if kind not in FILE_SYSTEMS:
        return None
    from apkiln.image.exports.file_systems import Toolbox
    from apkiln.system.process import SystemRunner

    return Toolbox(SystemRunner(), context.settings.environment.get("PATH", ""))


def _report(image: FinishedImage, context: Context) -> None:
    for item in image.architectures:
        context.output.print(f"{item.image.descriptor.digest} {item.arch.oci}")
    context.output.print(f"{_digest(image.index)} index")


def _value(built: BuiltImage, target: OutputTarget, tag: str) -> dict[str, Any]:
    return {
        "tag": tag,
        "output": {"type": target.kind.value, "path": target.path},
        "digest": str(_digest(built.index)),
        "images": [image_value(item) for item in built.architectures],
    }


def _digest(index: Index) -> Digest:
    from apkiln.formats.oci.documents import describe, encode_index
    from apkiln.formats.oci.media_types import INDEX

    return describe(INDEX, encode_index(index)).digest


def image_value(item: BuiltArchitecture) -> dict[str, Any]:
    """The JSON form of one architecture's image."""
    return {
        "arch": item.arch.apk,
        "platform": item.arch.oci,
        "digest": str(item.image.descriptor.digest),
        "layers": [_layer_value(layer) for layer in item.layers],
        "packages": [_package_value(segment) for segment in item.segments],
        "scripts": [_script_value(report) for report in item.tree.scripts],
        "notices": list(item.notices),
    }


def _script_value(report: ScriptReport) -> dict[str, Any]:
    return {
        "package": report.package,
        "kind": report.kind,
        "sha256": report.sha256,
        "state": report.state.value,
        "why": report.why,
        "line": report.line,
    }


def _layer_value(built: BuiltLayer) -> dict[str, Any]:
    digests = built.layer.digests
    return {
        "digest": str(digests.digest),
        "diff_id": str(digests.diff_id),
        "size": digests.size,
        "uncompressed_size": built.layer.recipe.raw_size,
        "packages": list(built.packages),
    }


def _package_value(segment: Segment) -> dict[str, Any]:
    head = segment.files.head
    return {
        "name": head.info.name,
        "version": head.info.version,
        "arch": head.info.arch,
        "origin": head.info.origin,
        "size": head.size,
        "installed_size": head.info.installed_size,
        "sha256": head.sha256.hex(),
    }
