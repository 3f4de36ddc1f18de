"""Find the format of an image, a document or a video from its first bytes."""

import re

FIRST_BYTES = 4096
"""Enough bytes for every format here except office documents. For these the name decides."""

_FORMATS = (
    (rb"\x89PNG\r\n\x1a\n", "png"),
    (rb"\xff\xd8\xff", "jpeg"),
    (rb"GIF8[79]a", "gif"),
    (rb"RIFF....WEBP", "webp"),
    (rb"\s*%PDF-", "pdf"),
    (rb"....ftypqt  ", "mov"),
    (rb"....ftyp(avif|avis)", "avif"),
    (rb"....ftyp(heic|heix|heim|heis|hevc|mif1|msf1)", "heic"),
    (rb"....ftyp3g", "three_gp"),
    (rb"....ftyp", "mp4"),
    (rb"\x1aE\xdf\xa3.{0,64}?webm", "webm"),
    (rb"\x1aE\xdf\xa3", "mkv"),
    (rb"FLV\x01", "flv"),
    (rb"\x00\x00\x01[\xb3\xba]", "mpeg"),
    (rb"\x30\x26\xb2\x75\x8e\x66\xcf\x11", "wmv"),
    (rb"II\*\x00|MM\x00\*", "tiff"),
    (rb"BM....\x00\x00\x00\x00", "bmp"),
    (rb"RIFF....AVI ", "avi"),
    (rb"PK\x03\x04.{0,65536}?word/", "docx"),
    (rb"PK\x03\x04.{0,65536}?xl/", "xlsx"),
    (rb"PK\x03\x04", "zip"),
    (rb"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "ole"),
    (rb"\s*<(?i:!doctype html|html)\b", "html"),
)
_KNOWN = [(re.compile(pattern, re.DOTALL), name) for pattern, name in _FORMATS]

_SEVERAL = {"zip": ("docx", "xlsx"), "ole": ("doc", "xls"), "mpeg": ("mpg",), "mp4": ("mov", "three_gp")}
"""Formats with the same first bytes: the item's name decides."""


def of(data: bytes, named: str) -> str | None:
    """Return the format that first bytes show, or None. `named` is the format that the item's name shows, if any."""
    found = next((name for pattern, name in _KNOWN if pattern.match(data)), None)
    return named if found and named in _SEVERAL.get(found, ()) else found
