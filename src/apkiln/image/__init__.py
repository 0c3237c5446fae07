"""Images: definition, plan, layers, OCI documents, SBOM, audit."""
