"""Write the JSON schemas, and the reference page of image definitions, from the tables of keys; run after changing them."""

from __future__ import annotations

from pathlib import Path

from apkiln.core import canonical_json
from apkiln.image.configuration.published_reference import reference
from apkiln.image.configuration.published_schema import json_schema
from apkiln.package.definition import published_schema as package_schema

DOCS = Path(__file__).resolve().parents[1] / "docs"

if __name__ == "__main__":
    (DOCS / "schema" / "image.schema.json").write_bytes(canonical_json.encode_pretty(json_schema()))
    (DOCS / "image-definition.md").write_text(reference(), encoding="utf-8")
    (DOCS / "schema" / "package.schema.json").write_bytes(canonical_json.encode_pretty(package_schema.json_schema()))
