"""YAML as nodes with places and source text, read by type; ordinary loading would turn version `1.10` into `1.1`."""
