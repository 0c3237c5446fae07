"""The finished tree of an image in forms that are no container images: archives and file systems."""
