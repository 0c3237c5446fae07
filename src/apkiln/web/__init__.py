"""The HTTP service: what clients of a repository fetch, and the interface for those who publish."""
