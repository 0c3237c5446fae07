"""`apkiln package source fetch`: what definitions declare as sources, into the cache and verified."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from apkiln.cli.package_arguments import (
    add_compilation_arguments,
    add_evaluation_arguments,
    add_ignored_arguments,
    compilation_settings,
    evaluation_settings,
    load_path,
    pipeline_library,
)
from apkiln.cli.source_arguments import (
    add_debian_arguments,
    add_source_arguments,
    debian_shop,
    keep_record,
    source_access,
    source_cache,
)

if TYPE_CHECKING:
    from apkiln.cli.context import Context
    from apkiln.package.sources.plan import Material, SourcePlan

NAME = "package source fetch"
HELP = """Fetch what the `fetch` and `git-checkout` steps of definitions declare into the source cache: files under
`sha256:HEX` or `sha512:HEX`, commits as git bundles under `git:COMMIT`, with submodules and commits to apply.  What is
there already is verified and not fetched again.  A build then needs no network for them.

Places of `--source-map` are tried first, then, with `--debian`, the source packages of this machine's Debian archives, in
which files are found by their SHA-256."""
EPILOG = """examples:
  apkiln package source fetch zlib.yaml
  apkiln package source fetch --arch x86_64 --arch aarch64 *.yaml
  apkiln package source fetch --source-map mirrors.yaml --debian musl.yaml
  apkiln melange update-cache zlib.yaml --cache-dir ./melange-cache
"""


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("configs", nargs="+", metavar="FILE", help="package definitions, melange YAML files")
    parser.add_argument("--arch", action="append", default=[], metavar="ARCH", help="may be repeated (default: this machine's)")
    parser.add_argument("--tests", action="store_true", help="sources of tests too")
    parser.add_argument("--dry-run", action="store_true", help="only say what would be fetched")
    add_source_arguments(parser)
    add_debian_arguments(parser)
    add_evaluation_arguments(parser)
    add_compilation_arguments(parser)
    add_ignored_arguments(parser)


def run(arguments: argparse.Namespace, context: Context) -> int:
    from apkiln.package.sources.fetching import fetch_sources
    from apkiln.package.sources.plan import Material, SourcePlan

    plans = _plans(arguments, context)
    whole = SourcePlan(tuple(dict.fromkeys(source for plan in plans for source in plan.sources)))
    for source in (source for plan in plans for source in plan.in_guest):
        context.reporter.note(f"{source.origin}: taken from the build environment by the step itself")
    if arguments.dry_run:
        from apkiln.core.digest import Digest

        nothing = Digest("sha256", b"")
        _show(tuple(Material(source, source.cache_name, nothing, 0, "") for source in whole.sources), context)
        return 0
    shop = debian_shop(arguments, context) if arguments.debian else None
    try:
        materials = fetch_sources(whole, source_access(arguments, context, shop)).materials
    finally:
        for obtained in shop.obtained if shop is not None else ():
            keep_record(obtained, source_cache(arguments, context))
    _show(materials, context)
    return 0


def _plans(arguments: argparse.Namespace, context: Context) -> tuple[SourcePlan, ...]:
    """The plans of all definitions for all architectures; faults of all are raised together."""
    import os

    from apkiln.core.arch import Arch
    from apkiln.core.errors import ApkilnError, FaultGroup
    from apkiln.package.compilation.resolving import resolve
    from apkiln.package.sources.planning import plan_sources

    settings, library = evaluation_settings(arguments, context), pipeline_library(arguments, context)
    compilation = compilation_settings(arguments)
    archs = [Arch.parse(os.uname().machine if name == "host" else name) for name in arguments.arch or ["host"]]
    plans: list[SourcePlan] = []
    faults: list[ApkilnError] = []
    for path in arguments.configs:
        for arch in archs:
            try:
                resolved = resolve(load_path(path, settings, context), arch, library, compilation)
                plans.append(plan_sources(resolved.definition, tests=arguments.tests))
            except FaultGroup as group:
                faults += group.faults
            except ApkilnError as error:
                if error.reason == "not-targeted":
                    context.reporter.note(str(error))
                else:
                    faults.append(error)
    if faults:
        raise FaultGroup(dict.fromkeys(faults))
    return tuple(plans)


def _show(materials: tuple[Material, ...], context: Context) -> None:
    from apkiln.core.secret import redact_url
    from apkiln.package.sources.plan import FetchSource

    rows = []
    for material in materials:
        source = material.source
        uri = redact_url(source.uri if isinstance(source, FetchSource) else source.repository)
        row: dict[str, str | int] = {"name": material.name, "uri": uri, "package": source.package, "step": source.step}
        if material.location:
            row |= {"digest": str(material.digest), "size": material.size, "from": material.location}
        rows.append(row)
    if context.settings.json:
        context.output.json({"sources": rows})
        return
    for row in rows:
        context.output.print(f"{row['name']} {row['uri']}" + (f" ({row['from']})" if "from" in row else ""))
