"""Trees that something else made, described so that they can be emitted as packages."""
