"""The JSON schema of image definitions, made from the table of keys, for editors and other tools."""

from __future__ import annotations

from typing import Any

from apkiln.image.configuration import keys

_NULLABLE_TEXT: dict[str, Any] = {"type": ["string", "number", "boolean", "null"]}
"""A text field takes any scalar: its source text counts."""
_TEXTS: dict[str, Any] = {"type": ["array", "null"], "items": _NULLABLE_TEXT}
_SIMPLE: dict[str, dict[str, Any]] = {
    "text": _NULLABLE_TEXT,
    "integer": {"type": ["integer", "null"]},
    # YAML 1.1 readers take `0o755` for a text.
    "mode": {"type": ["integer", "string", "null"], "minimum": 0, "maximum": 0o7777, "pattern": "^0o[0-7]{1,5}$"},
    "boolean": {"type": ["boolean", "null"]},
    "texts": _TEXTS,
    "lists": {"type": ["array", "null"], "items": _TEXTS},
    "pairs": {"type": ["object", "null"], "additionalProperties": _NULLABLE_TEXT},
    "command": {"anyOf": [_NULLABLE_TEXT, _TEXTS]},
}


def json_schema() -> dict[str, Any]:
    """A draft 2020-12 schema: every section is a definition, unknown keys are refused, keys keep the table's order."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "apkiln image definition",
        "description": "Keys marked as extensions are not known to apko and refused by --strict-apko.",
        **_section(""),
        "$defs": {name: _section(name) for name in keys.SECTIONS if name},
    }


def _section(name: str) -> dict[str, Any]:
    return {
        "type": ["object", "null"],
        "additionalProperties": False,
        "properties": {key.name: _property(key) for key in keys.SECTIONS[name]},
    }


def _property(key: keys.Key) -> dict[str, Any]:
    help_text = f"{key.help} (extension)" if key.extension else key.help
    if key.choices:
        allowed: dict[str, Any] = {"enum": [*key.choices, "", None]}
        return {"description": help_text} | ({"type": "array", "items": allowed} if key.kind == "texts" else allowed)
    return {"description": help_text} | _shape(key.kind)


def _shape(kind: str) -> dict[str, Any]:
    form, _, section = kind.partition(":")
    reference = {"$ref": f"#/$defs/{section}"}
    if form == "section":
        return reference
    if form == "list":
        return {"type": ["array", "null"], "items": reference}
    mixed = {"type": ["array", "null"], "items": {"anyOf": [_NULLABLE_TEXT, reference]}}
    if form == "mixed":
        return mixed
    if form == "optional":
        return {"anyOf": [_NULLABLE_TEXT, reference, mixed]}
    return _SIMPLE[kind]
