"""`apkiln image config`: the definition as it counts, includes and defaults resolved."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from apkiln.cli.definition_arguments import add_definition_arguments, load_definition

if TYPE_CHECKING:
    from apkiln.cli.context import Context
    from apkiln.image.configuration.loading import LoadedConfiguration

NAME = "image config"
HELP = "Print an image definition with its includes merged and its defaults filled in.  Passwords in URLs are left out."
EPILOG = """examples:
  apkiln image config image.yaml
  apkiln image config image.yaml -p curl --json
  apkiln image config image.yaml --flat > whole.yaml
"""


def configure(parser: argparse.ArgumentParser) -> None:
    add_definition_arguments(parser)
    parser.add_argument("--flat", action="store_true", help="leave `include` out, so that the result stands alone")


def run(arguments: argparse.Namespace, context: Context) -> int:
    from apkiln.image.configuration.rendering import completed, render_yaml

    loaded = load_definition(arguments, context)
    shown = completed(loaded.configuration)
    if arguments.flat:
        shown = shown._replace(include=(), merge="")
    if context.settings.json:
        context.output.json(_value(loaded._replace(configuration=shown)))
    else:
        context.output.bytes(render_yaml(shown).encode())
    return 0


def _value(loaded: LoadedConfiguration) -> dict[str, Any]:
    from apkiln.image.configuration.rendering import definition_digest, document, origins

    return {
        "configuration": document(loaded.configuration),
        "checksum": loaded.checksum,
        "digest": str(definition_digest(loaded.configuration)),
        "files": list(loaded.files),
        "origins": origins(loaded.configuration),
        "notes": [{"message": note.message, "origin": str(note.origin)} for note in loaded.notes],
    }
