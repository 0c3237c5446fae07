"""The command line: one module per command; reads argv and environment into frozen settings, maps errors to exit codes."""
