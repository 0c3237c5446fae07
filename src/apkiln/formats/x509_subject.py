"""The subject hash under which OpenSSL finds a certificate in a directory (`X509_NAME_hash`: SHA-1 of the canonical name).

The canonical name has every text as UTF-8, ASCII letters in lower case, white space at the ends removed and inside collapsed.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Iterator

from apkiln.core.errors import FormatError

_SEQUENCE, _SET, _CONTEXT_0 = 0x30, 0x31, 0xA0
_UTF8 = 0x0C
_ENCODINGS = {0x0C: "utf-8", 0x13: "ascii", 0x14: "latin-1", 0x16: "ascii", 0x1A: "ascii", 0x1E: "utf-16-be", 0x1C: "utf-32-be"}
"""Text types by tag: UTF8, Printable, T61, IA5, Visible, BMP, Universal."""
_PEM = re.compile(rb"-----BEGIN (?:TRUSTED |X509 )?CERTIFICATE-----(.*?)-----END", re.DOTALL)


def pem_certificates(text: bytes) -> tuple[bytes, ...]:
    """DER of every certificate in a PEM text, in order.  Raises FormatError (`certificate-invalid`)."""
    try:
        return tuple(base64.b64decode(b"".join(found[1].split()), validate=True) for found in _PEM.finditer(text))
    except binascii.Error:
        raise _fault("the text is not base64") from None


def subject_hash(certificate: bytes) -> str:
    """Eight hex digits for a DER certificate.  Raises FormatError (`certificate-invalid`)."""
    whole = next(_elements(certificate), (0, b""))
    signed = next(_elements(whole[1]), (0, b""))
    fields = [item for item in _elements(signed[1]) if item[0] != _CONTEXT_0]
    if whole[0] != _SEQUENCE or len(fields) < 5 or fields[4][0] != _SEQUENCE:
        raise _fault("there is no X.509 certificate")
    digest = hashlib.sha1(_canonical_name(fields[4][1]), usedforsecurity=False).digest()
    return digest[3::-1].hex()


def _canonical_name(name: bytes) -> bytes:
    """The relative names one after the other, without the sequence around them."""
    return b"".join(
        _element(_SET, b"".join(_canonical_attribute(item) for _, item in _elements(part))) for _, part in _elements(name)
    )


def _canonical_attribute(attribute: bytes) -> bytes:
    parts = list(_elements(attribute))
    if len(parts) != 2:
        raise _fault("a name has an attribute that is no pair")
    (kind, key), (tag, value) = parts
    if tag in _ENCODINGS:
        try:
            text = value.decode(_ENCODINGS[tag]).encode()
        except UnicodeError:
            raise _fault("a name is not written in its own encoding") from None
        tag, value = _UTF8, b" ".join(text.split()).lower()
    return _element(_SEQUENCE, _element(kind, key) + _element(tag, value))


def _element(tag: int, content: bytes) -> bytes:
    size = len(content)
    if size < 0x80:
        return bytes((tag, size)) + content
    length = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes((tag, 0x80 | len(length))) + length + content


def _elements(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Tag and content of each DER element."""
    position = 0
    while position < len(data):
        if position + 2 > len(data):
            raise _fault("an element is cut off")
        tag, size = data[position], data[position + 1]
        position += 2
        if size & 0x80:
            count = size & 0x7F
            size = int.from_bytes(data[position : position + count], "big")
            position += count
            if not 1 <= count <= 4:
                raise _fault("an element has no definite length")
        if position + size > len(data):
            raise _fault("an element is cut off")
        yield tag, data[position : position + size]
        position += size


def _fault(message: str) -> FormatError:
    return FormatError(message, reason="certificate-invalid")
