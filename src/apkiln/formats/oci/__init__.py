"""OCI documents, layouts and archives, and Docker's older archive: values to bytes and back (spec image.md §9, §14)."""
