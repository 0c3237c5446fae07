"""POSIX shell scripts as a tree of commands (IEEE 1003.1 "Shell Command Language"); nothing here runs one."""
