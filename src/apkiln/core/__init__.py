"""Values every other room shares: digests, architectures, errors, origins, limits, canonical JSON, secrets, progress."""
