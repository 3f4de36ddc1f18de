"""The format of an item from its first bytes."""

import io
import zipfile

import pytest

from bedrock_batch.errors import InvalidRunInput
from bedrock_batch.records import media, media_format


def office(folder: str) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as packed:
        for name in ("[Content_Types].xml", "_rels/.rels", f"{folder}/document.xml"):
            packed.writestr(name, "<xml/>" * 50)
    return file.getvalue()


@pytest.mark.parametrize(
    ("data", "named", "expected"),
    [
        (b"\x89PNG\r\n\x1a\n..", "jpeg", "png"),
        (b"\xff\xd8\xff\xdb", "png", "jpeg"),
        (b"GIF87a", "", "gif"),
        (b"RIFF\n\x00\x00\x00WEBPVP8L", "png", "webp"),
        (b"RIFF\n\x00\x00\x00AVI LIST", "webp", "avi"),
        (b"%PDF-1.4", "txt", "pdf"),
        (b"\n%PDF-1.4", "", "pdf"),
        (b"a text about %PDF-1.4", "txt", None),
        (b"\x00\x00\x00\x20ftypisom....", "", "mp4"),
        (b"\x00\x00\x00\x20ftypisom....", "mov", "mov"),
        (b"\x00\x00\x00\x14ftypqt  ....", "mp4", "mov"),
        (b"\x00\x00\x00\x1cftypavif....", "png", "avif"),
        (b"\x00\x00\x00\x1cftypheic....", "jpeg", "heic"),
        (b"\x1aE\xdf\xa3\x9fB\x86\x81\x01B\x82\x84webm", "mkv", "webm"),
        (b"\x1aE\xdf\xa3\xa3B\x86\x81\x01B\x82\x88matroska", "", "mkv"),
        (b"\x00\x00\x01\xba", "mpg", "mpg"),
        (b"\x00\x00\x01\xba", "", "mpeg"),
        (b"II*\x00", "png", "tiff"),
        (office("word"), "", "docx"),
        (office("xl"), "docx", "xlsx"),
        (b"PK\x03\x04....", "docx", "docx"),
        (b"PK\x03\x04....", "", "zip"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "doc", "doc"),
        (b"\n<!DOCTYPE html>", "png", "html"),
        (b"plain", "md", None),
        (b"", "png", None),
    ],
)
def test_first_bytes_show_the_format(data: bytes, named: str, expected: str | None) -> None:
    assert media_format.of(data, named) == expected


def test_without_first_bytes_that_are_known_the_name_decides() -> None:
    assert media.format_of("s3://b/k.JPG", b"?", {"kind": "image"}) == "jpeg"
    assert media.format_of("a/b.markdown", b"# A", {"kind": "document"}) == "md"
    assert media.format_of("", b"?", {"kind": "image", "format": "gif"}) == "gif"
    with pytest.raises(InvalidRunInput, match="first bytes of s3://b.c/k do not show its format. Set media.format"):
        media.format_of("s3://b.c/k", b"?", {"kind": "document"})
    with pytest.raises(InvalidRunInput, match="'html' is not a format of an image"):
        media.format_of("s3://b/k.png", b"<html><body>Not found", {"kind": "image"})
