"""ELF files with nothing but what the dynamic loader reads."""

from __future__ import annotations

import struct


def make_elf(bits: int, order: str, needed: tuple[str, ...], soname: str, interpreter: str, runpath: str) -> bytes:
    """A file with nothing but what the loader reads."""
    wide = bits == 64
    texts = b"\0"
    places: list[int] = []
    for text in (*needed, soname, runpath):
        places.append(len(texts))
        texts += text.encode() + b"\0"
    header_size, program_size = (64, 56) if wide else (52, 32)
    interpreter_at = header_size + 3 * program_size
    texts_at = interpreter_at + len(interpreter) + 1
    dynamic_at = texts_at + len(texts)
    rows = [(1, place) for place in places[: len(needed)]] + [(14, places[-2]), (29, places[-1]), (5, 0x1000 + texts_at), (0, 0)]
    dynamic = b"".join(struct.pack(order + ("QQ" if wide else "II"), *row) for row in rows)
    size = dynamic_at + len(dynamic)

    def program(kind: int, offset: int, length: int) -> bytes:
        address = 0x1000 + offset
        if wide:
            return struct.pack(order + "IIQQQQQQ", kind, 4, offset, address, address, length, length, 1)
        return struct.pack(order + "IIIIIIII", kind, offset, address, address, length, length, 4, 1)

    identity = b"\x7fELF" + bytes([2 if wide else 1, 1 if order == "<" else 2, 1]) + bytes(9)
    layout = order + ("HHIQQQIHHHHHH" if wide else "HHIIIIIHHHHHH")
    header = identity + struct.pack(layout, 3, 62, 1, 0, header_size, 0, 0, header_size, program_size, 3, 0, 0, 0)
    programs = program(1, 0, size) + program(3, interpreter_at, len(interpreter) + 1) + program(2, dynamic_at, len(dynamic))
    return header + programs + interpreter.encode() + b"\0" + texts + dynamic
