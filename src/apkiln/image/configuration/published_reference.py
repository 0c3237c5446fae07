"""The reference of image definitions for people, made from the same table as the reader and the JSON schema."""

from __future__ import annotations

from apkiln.image.configuration.keys import SECTIONS, Key

_INTRODUCTION = """\
# Image definitions

A definition is one YAML file. apko's definitions are read unchanged; keys marked **+** are ours, and `--strict-apko`
refuses them. Text keeps the spelling of the file: `1.10` stays `1.10`. Unknown keys, wrong types and duplicate keys
are errors with line and column, all of a file at once. The [JSON schema](schema/image.schema.json) is for editors.

```yaml
contents:
  repositories:
    - https://packages.example/os        # in order of preference; paths and `@tag URL` too
  keyring:
    - https://packages.example/os/signing.rsa.pub
  packages:
    - nginx
    - ca-certificates-bundle
    - nginx-module@edge                  # from the repository tagged `edge`
    - "!bash"                            # must not be there
entrypoint:
  command: /usr/sbin/nginx -g 'daemon off;'
accounts:
  users:
    - {username: web, uid: 10001}
  run-as: web
paths:
  - {path: /srv/www, type: directory, uid: 10001, gid: 10001, permissions: 0o750}
archs: [x86_64, aarch64]
```

Relative paths of repositories and keys start at the working directory, `from` in `paths` and includes at the
definition's own directory. `apkiln image config FILE` prints what a definition means with includes and defaults
resolved.
"""
_TITLES = {
    "": "Top level",
    "key": "contents.keyring[] in long form",
    "named": "contents.runtime_keyring[], certificates.additional[]",
    "package": "contents.packages[] in long form",
    "baseimage": "contents.baseimage",
    "user": "accounts.users[]",
    "group": "accounts.groups[]",
    "path": "paths[]",
    "include": "include in long form",
}
_KINDS = {
    "text": "text",
    "integer": "number",
    "mode": "octal mode",
    "boolean": "true or false",
    "texts": "list of text",
    "lists": "list of lists of text",
    "pairs": "mapping of text",
    "command": "text or list",
    "section": "mapping",
    "list": "list of mappings",
    "mixed": "list of text or mappings",
    "optional": "text or list",
}


def reference() -> str:
    """The whole page as Markdown."""
    parts = [_INTRODUCTION]
    for section, keys in SECTIONS.items():
        rows = "\n".join(_row(key) for key in keys)
        parts.append(f"## {_TITLES.get(section, section)}\n\n| key | value | meaning |\n|---|---|---|\n{rows}\n")
    return "\n".join(parts)


def _row(key: Key) -> str:
    mark = " **+**" if key.extension else ""
    choices = f" ({', '.join(f'`{choice}`' for choice in key.choices)})" if key.choices else ""
    meaning = (key.help + choices).replace("|", "\\|")
    return f"| `{key.name}`{mark} | {_KINDS[key.kind.partition(':')[0]]} | {meaning} |"
