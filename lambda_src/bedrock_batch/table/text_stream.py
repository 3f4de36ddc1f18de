"""Read text files on S3 as a stream of UTF-8, even if they are compressed or in another encoding.

Prepare shard starts reading in the middle of a file. That is impossible in a compressed file, and in another encoding
the offset is not known. So planning, which reads the whole file, writes a plain copy of such a file into the run's
folder, and Prepare shard reads the copy.
"""

import codecs
import io
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from itertools import chain

import pyarrow as pa

from bedrock_batch.aws.s3 import S3
from bedrock_batch.contracts.run import Source
from bedrock_batch.errors import MalformedInput
from bedrock_batch.table.deadline import Deadline, OutOfTime
from bedrock_batch.table.layout import MOST_RECORD_BYTES
from bedrock_batch.table.scan_checkpoint import Scan

CONCURRENT_FILES = 2
"""Scanning keeps a processor busy. A second file uses the time in which the first one waits for S3."""

BOM = b"\xef\xbb\xbf"

_CODECS = {"gz": "gzip", "gzip": "gzip", "zst": "zstd", "zstd": "zstd"}
_MAGIC = {b"\x1f\x8b": "gzip", b"\x28\xb5\x2f\xfd": "zstd"}
_UTF_16 = "UTF-16"
# The letters PAR1 and BZh may also begin the header of a CSV, so the bytes that follow them in such a file count too.
_FOREIGN = {
    BOM: "UTF-8",
    b"\xff\xfe\0\0": "UTF-32",
    b"\0\0\xfe\xff": "UTF-32",
    b"\xff\xfe": _UTF_16,
    b"\xfe\xff": _UTF_16,
    b"PAR1\x15": "Parquet",
    b"PK\x03\x04": "zip",
    **dict.fromkeys((b"BZh%d1AY&SY" % level for level in range(1, 10)), "bzip2"),
    b"\xfd7zXZ\0": "xz",
    **_MAGIC,  # A file that was compressed twice is decompressed once.
}
_HINTS = {
    "UTF-8": "Remove input.csv.encoding. If other files have that encoding, write all files in one.",
    _UTF_16: 'Convert it to UTF-8, or if it is CSV, set input.csv.encoding to "utf-16".',
}
_UNPACKED_BYTES = 4 << 20
"""Most bytes to decompress at once: some compressed files grow a thousandfold."""


@dataclass(slots=True)
class Text:
    """A file that is being read.

    `chunks` are its bytes as UTF-8. `stored` is the file that Prepare shard will read; it is known after the last
    chunk. `whole` is false if the deadline ended `chunks` before the end of the file.
    """

    chunks: Iterator[bytes]
    stored: Source
    whole: bool = True


def suffixes(key: str) -> tuple[str, str | None]:
    """Return the format and the compression of a key's suffix, in lower case; None for no compression."""
    stem, _, last = key.rpartition(".")
    codec = _CODECS.get(last.lower())
    return (stem.rpartition(".")[2] if codec else last).lower(), codec


@contextmanager
def reading(s3: S3, scan: Scan, *, form: str, encoding: str) -> Iterator[Text]:
    """Read a file within a `with` block, starting after the part that is known; write a plain copy if it needs one.

    `form` is the format, and the suffix of the copy. A file that needs a copy must be read at once, so it never has a
    known part.

    Raises (from `Text.chunks`):
        MalformedInput: the file cannot be decompressed or is not in this encoding.
        OutOfTime: the file needs a copy, and the deadline has passed.
    """
    file = scan.file
    start = 0 if scan.known is None else scan.known.end
    with ExitStack() as stack:
        raw = stack.enter_context(closing(s3.stream(file.bucket, file.key, start=start, end=file.size, etag=file.etag)))
        if scan.known is not None:
            yield _plain(file, raw, scan.deadline)
            return
        head = next(raw, b"")
        codec = _codec(file, head)
        chunks: Iterator[bytes] = chain([head], raw)
        if codec:
            chunks = stack.enter_context(closing(_decompressed(file, chunks, codec)))
        chunks = _checked(file, chunks, encoding)
        if not codec and encoding == "utf-8":
            yield _plain(file, chunks, scan.deadline)
            return
        chunks = _in_one_go(file, chunks, scan.deadline)
        if encoding != "utf-8":
            chunks = _transcoded(file, chunks, encoding)
        bucket, stem = scan.copy
        copy = (bucket, f"{stem}.{form}")
        with s3.writer(*copy) as out:
            text = Text(_copied(chunks, out.write), file)
            yield text
        text.stored = Source(*copy, out.etag, out.size, rows=0, origin=file.uri)


def blocks(
    chunks: Iterable[bytes], end_of: Callable[[bytes], int], *, size: int, name: str
) -> Generator[bytes, None, None]:
    """Cut a stream that begins at a record into blocks of whole records, of about `size` bytes each.

    `end_of` returns the offset after the last whole record in its bytes, 0 if there is none. Raises MalformedInput for
    a record beyond MOST_RECORD_BYTES.
    """
    rest: list[bytes] = []
    for chunk in chunks:
        for start in range(0, len(chunk), size):
            piece = chunk[start : start + size]
            rest.append(piece)
            # Join the pieces of a long record once, not again with every piece.
            if b"\n" in piece or b"\r" in piece:
                data = b"".join(rest)
                end = end_of(data)
                if end:
                    yield data[:end]
                rest = [data[end:]]
            if sum(map(len, rest)) > MOST_RECORD_BYTES:
                raise MalformedInput(
                    f"{name} has a record of more than {MOST_RECORD_BYTES >> 20} MB. A line end or a closing quote is "
                    "missing, or the file has another format."
                )
    if any(rest):
        yield b"".join(rest)


def _codec(file: Source, head: bytes) -> str | None:
    """Return the compression that the file's name shows, or if it shows none, that the first bytes show."""
    _, codec = suffixes(file.key)
    if codec is None:
        return next((codec for magic, codec in _MAGIC.items() if head.startswith(magic)), None)
    return codec


class _Stream(io.RawIOBase):
    """A file of chunks, for Arrow to read."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks
        self._rest = memoryview(b"")

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        while not self._rest:
            chunk = next(self._chunks, None)
            if chunk is None:
                return b""
            self._rest = memoryview(chunk)
        data, self._rest = self._rest[:size], self._rest[size:]
        return bytes(data)


def _decompressed(file: Source, chunks: Iterator[bytes], codec: str) -> Generator[bytes, None, None]:
    with pa.CompressedInputStream(pa.PythonFile(_Stream(chunks), mode="r"), codec) as stream:
        while True:
            try:
                data = stream.read(_UNPACKED_BYTES)
            except (pa.ArrowException, OSError) as err:
                raise MalformedInput(f"{file.uri} cannot be decompressed as {codec}: {err}. Write it again.") from err
            if not data:
                return
            yield data


def _plain(file: Source, chunks: Iterator[bytes], deadline: Deadline) -> Text:
    """Return a text that ends at the deadline; its `whole` is then false."""

    def late() -> None:
        text.whole = False

    text = Text(deadline.in_time(chunks, late), file)
    return text


def _in_one_go(file: Source, chunks: Iterator[bytes], deadline: Deadline) -> Iterator[bytes]:
    """Yield the chunks of a file that must be read at once. Raises OutOfTime when the deadline has passed."""

    def late() -> None:
        raise OutOfTime(file.uri)

    return deadline.in_time(chunks, late)


def _checked(file: Source, chunks: Iterator[bytes], encoding: str) -> Iterator[bytes]:
    """Yield the chunks. Refuse a file whose first bytes show that it is not text in this encoding."""
    first = True
    for chunk in chunks:
        if first and (what := _shown(chunk) or encoding).lower() != encoding:
            hint = _HINTS.get(what, "Convert it.")
            raise MalformedInput(f"{file.uri} is {what}, not text in {encoding}. {hint}")
        first = False
        yield chunk


def _shown(start: bytes) -> str | None:
    """Return the format or the encoding that the first bytes of a file show; None if they show none."""
    for magic, what in _FOREIGN.items():
        if start.startswith(magic):
            return what
    if start[:4].count(0) == 3:
        return "UTF-32"
    return _UTF_16 if start[:2].count(0) == 1 else None


def _transcoded(file: Source, chunks: Iterator[bytes], encoding: str) -> Iterator[bytes]:
    first = next(chunks, b"")
    decoder = codecs.getincrementaldecoder(_with_order(encoding, first))()
    at = 0
    try:
        for chunk in chain([first], chunks):
            at += len(chunk)
            yield decoder.decode(chunk).encode()
        yield decoder.decode(b"", final=True).encode()
    except UnicodeError as err:
        # The decoder's own count begins at the first byte that it holds.
        bad = at - len(err.object) + err.start if isinstance(err, UnicodeDecodeError) else 0
        raise MalformedInput(
            f"{file.uri} is not in {encoding}, the encoding of input.csv.encoding: byte {bad} cannot be decoded "
            f"({getattr(err, 'reason', err)}). Set another encoding."
        ) from err


def _with_order(encoding: str, start: bytes) -> str:
    """Return the encoding; for UTF-16 without a byte order mark, the one with the order that the first bytes show."""
    if encoding == _UTF_16.lower() and start[:2].count(0) == 1:
        return "utf-16-be" if start[0] == 0 else "utf-16-le"
    return encoding


def _copied(chunks: Iterator[bytes], write: Callable[[bytes], int]) -> Iterator[bytes]:
    for chunk in chunks:
        if chunk:
            write(chunk)
            yield chunk
