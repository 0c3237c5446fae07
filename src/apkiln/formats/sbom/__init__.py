"""Software bills of materials: one model, written as SPDX 2.3 and CycloneDX 1.6 with the same facts (spec image.md §10)."""
