"""File formats as pure functions: bytes to values and back, on bytes or streams handed in."""
