"""`apkiln image publish`: push an image to registries, built now or stored."""

from __future__ import annotations

import argparse

from apkiln.cli.build_arguments import add_build_arguments, finished_definition

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path
    from typing import Any

    from apkiln.cli.context import Context
    from apkiln.formats.oci.reference import Reference
    from apkiln.image.publishing import RepositoryReport
    from apkiln.image.publishing_plan import Publishable, PublishPlan
    from apkiln.system.registry_client import HttpRegistry

NAME = "image publish"
HELP = """Push an image to registries, and move its tags when all of it is there.

CONFIG is a definition, which is built as by `image build`; or an OCI layout (a directory), an OCI archive (a tar file) or
`registry:HOST/NAME[:TAG][@DIGEST]`, which is pushed as it is.  A directory or a tar file is a stored image, anything else
a definition.  Every TAG may name another
registry.  What a registry has already is not sent again; interrupted uploads go on where they broke.  The digest of the
image is printed.

Logins are those of `docker login` and `podman login`, credential helpers included; REGISTRY_AUTH_FILE and DOCKER_CONFIG
are heeded.  Registries are spoken to over TLS, except on the loopback device and where `--plain-http` says so."""
EPILOG = """examples:
  apkiln image publish image.yaml registry.example.com/team/app:1.0 registry.example.com/team/app:latest
  apkiln image publish out/ localhost:5000/app:dev
  apkiln image publish registry:staging.example.com/app:1.0 registry.example.com/app:1.0
  apkiln image publish image.yaml registry.example.com/app:1.0 --attach-sbom --image-refs refs.txt
  apkiln image publish image.yaml registry.example.com/app:1.0 --dry-run
  apkiln image publish image.yaml app:dev --local
"""


def configure(parser: argparse.ArgumentParser) -> None:
    add_build_arguments(parser)
    parser.add_argument("tag", metavar="TAG", nargs="+", help="reference to publish under, such as `example.com/app:1.0`")
    group = parser.add_argument_group("publishing")
    group.add_argument("--image-refs", metavar="FILE", default="", help="write the references by digest of all that was pushed")
    group.add_argument("--local", action="store_true", help="load into podman or docker instead of pushing")
    group.add_argument("--dry-run", action="store_true", help="print what would be pushed; no registry is asked")
    group.add_argument("--attach-sbom", action="store_true", help="attach bills of materials as referrers of what they describe")
    group.add_argument("--sbom-path", metavar="DIR", default="", help="also write bills of materials into this directory")
    group.add_argument("--plain-http", metavar="HOST", action="append", default=[], help="registry to speak to without TLS")
    group.add_argument("--retries", metavar="N", type=int, default=4, help="attempts after a first one that failed (default: 4)")


def run(arguments: argparse.Namespace, context: Context) -> int:
    from apkiln.core.errors import UsageError
    from apkiln.formats.oci.reference import parse_reference
    from apkiln.image.publishing import log_in, publish
    from apkiln.image.publishing_plan import plan_lines, plan_publication
    from apkiln.system.registry_names import repository_of

    references = tuple(parse_reference(tag) for tag in arguments.tag)
    if arguments.local and (arguments.dry_run or arguments.attach_sbom or arguments.image_refs):
        raise UsageError("`--local` pushes nothing; leave the other flags of publishing out", reason="bad-arguments")
    registry = None
    if not arguments.local and not arguments.dry_run:
        registry = _registry(arguments, context, references)
        log_in(tuple(dict.fromkeys(map(repository_of, references))), registry)
    image = _image(arguments, context, references[0])
    if arguments.local:
        return _load(image, references, context)
    plan = plan_publication(image, references)
    reports: tuple[RepositoryReport, ...] = ()
    if registry is not None:
        reports = publish(plan, registry, context.reporter, context.settings.jobs)
        _write_references(plan, arguments, context)
    if context.settings.json:
        context.output.json(_value(plan, reports, arguments.dry_run))
    elif arguments.dry_run:
        for line in plan_lines(plan):
            context.output.print(line)
    else:
        context.output.print(str(plan.digest))
    return 0


def _registry(arguments: argparse.Namespace, context: Context, references: Sequence[Reference]) -> HttpRegistry:
    from apkiln.core.errors import UnavailableError
    from apkiln.system.files import DiskFiles
    from apkiln.system.process import SystemRunner
    from apkiln.system.registry_network import open_registry

    settings = context.settings
    if settings.offline:
        message = f"`{references[0]}` cannot be published while the network is off"
        raise UnavailableError(message, reason="offline", hint="leave `--offline` out, or use `--dry-run` or `--local`")
    plain = frozenset(host.lower() for host in arguments.plain_http)
    return open_registry(
        settings.environment, DiskFiles(), SystemRunner(), plain_http=plain, jobs=settings.jobs, retries=max(0, arguments.retries)
    )


def _image(arguments: argparse.Namespace, context: Context, reference: Reference) -> Publishable:
    """Built, or found in its place."""
    from pathlib import Path

    from apkiln.cli.places import open_named_place
    from apkiln.image.publishable import publishable_build, publishable_place
    from apkiln.system.files import DiskFiles

    settings = context.settings
    in_registry = arguments.config.startswith("registry:")
    if in_registry or is_stored_image(Path(settings.working_directory, arguments.config)):
        _refuse_definition_flags(arguments)
        place = open_named_place(arguments.config, context, frozenset(host.lower() for host in arguments.plain_http))
        return publishable_place(place, settings.limits, attach_bills=arguments.attach_sbom)
    built, store = finished_definition(arguments, context, reference)
    if arguments.sbom_path and not arguments.dry_run:
        from apkiln.image.output import write_files

        write_files(DiskFiles(durable=False), Path(settings.working_directory, arguments.sbom_path), dict(built.bills))
    return publishable_build(built, store, attach_bills=arguments.attach_sbom)


def is_stored_image(path: Path) -> bool:
    """A directory or a tar file; a definition is text."""
    if path.is_dir():
        return True
    if not path.is_file():
        return False
    with path.open("rb") as stream:
        return stream.read(512)[257:262] == b"ustar"


def _refuse_definition_flags(arguments: argparse.Namespace) -> None:
    """Flags that decide about a build mean nothing for an image that is there."""
    from apkiln.core.errors import UsageError

    parser = argparse.ArgumentParser()
    add_build_arguments(parser)
    unset = vars(parser.parse_args([arguments.config]))
    changed = [name for name, value in unset.items() if getattr(arguments, name) != value]
    if changed or arguments.sbom_path:
        flag = "--" + (changed[0] if changed else "sbom_path").replace("_", "-")
        raise UsageError(f"`{flag}` is for definitions, and `{arguments.config}` is a stored image", reason="bad-arguments")


def _load(image: Publishable, references: Sequence[Reference], context: Context) -> int:
    from os import uname

    from apkiln.core.arch import Arch
    from apkiln.image.loading import load_image, plan_load
    from apkiln.system.process import SystemRunner

    plan = plan_load(image, Arch.parse(uname().machine), references)
    load_image(plan, SystemRunner(), context.settings.environment)
    if context.settings.json:
        context.output.json({"digest": str(image.top.digest), "loaded": list(plan.names)})
    else:
        context.output.print(str(image.top.digest))
    return 0


def _write_references(plan: PublishPlan, arguments: argparse.Namespace, context: Context) -> None:
    from pathlib import Path

    from apkiln.image.output import write_files
    from apkiln.system.files import DiskFiles

    if arguments.image_refs:
        path = Path(context.settings.working_directory, arguments.image_refs)
        content = "".join(f"{reference}\n" for reference in plan.references()).encode()
        write_files(DiskFiles(durable=False), path.parent, {path.name: content})


def _value(plan: PublishPlan, reports: Sequence[RepositoryReport], dry_run: bool) -> dict[str, Any]:
    repositories: list[dict[str, Any]] = []
    for position, item in enumerate(plan.repositories):
        value: dict[str, Any] = {"repository": str(item.repository), "tags": list(item.tags)}
        if reports:
            report = reports[position]
            value["moved"] = list(report.tags_moved)
            value["manifestsWritten"] = report.manifests_written
            value["blobs"] = [{"digest": row.digest, "size": row.size, "outcome": row.outcome.value} for row in report.blobs]
        else:
            value["blobs"] = [{"digest": str(blob.descriptor.digest), "size": blob.descriptor.size} for blob in plan.blobs()]
        repositories.append(value)
    return {
        "digest": str(plan.digest),
        "dryRun": dry_run,
        "manifests": [{"digest": str(item.digest), "mediaType": item.media_type} for item in plan.image.documents],
        "attachments": [
            {"digest": str(item.manifest.digest), "name": item.name, "subject": str(item.subject.digest)}
            for item in plan.artifacts
        ],
        "repositories": repositories,
    }
