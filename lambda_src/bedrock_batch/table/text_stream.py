"""Text files on S3 as a stream of UTF-8, whatever they are packed or encoded in.

Shards read a file from its middle, which a compressed file does not allow, and know its offsets only in UTF-8. So
such a file is copied once, plain, into the run's own folder, while planning reads it anyway; the shards read the copy.
"""

import codecs
import io
import math
import time
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from itertools import chain

import pyarrow as pa

from bedrock_batch.aws.s3 import S3, Object
from bedrock_batch.errors import MalformedInput
from bedrock_batch.table.layout import Layout
from bedrock_batch.table.scan_checkpoint import Found, OutOfTime

CONCURRENT_FILES = 2
"""Scanning keeps a processor busy; a second file hides the first one's wait for S3."""

BOM = b"\xef\xbb\xbf"

_CODECS = {"gz": "gzip", "gzip": "gzip", "zst": "zstd", "zstd": "zstd"}
_MAGIC = {b"\x1f\x8b": "gzip", b"\x28\xb5\x2f\xfd": "zstd"}
_FOREIGN = {b"\xff\xfe": "UTF-16", b"\xfe\xff": "UTF-16", b"PAR1": "Parquet", b"PK\x03\x04": "zip", b"BZh": "bzip2"}
_UNPACKED_BYTES = 4 << 20
"""Decompressed at once: some compressed files grow a thousandfold."""

MOST_RECORD_BYTES = 256 << 20
"""No model takes such a record, and reading it takes several times this in memory."""


@dataclass(slots=True)
class Text:
    """A file while it is read: `chunks` are its bytes as UTF-8; `stored`, set behind the last, is what shards read.

    `whole` is False when `chunks` ended before the file did, because the time was up.
    """

    chunks: Iterator[bytes]
    stored: Object
    whole: bool = True


def suffixes(key: str) -> tuple[str, str | None]:
    """Return what a key's suffix says, in lower case: the format, and the compression if there is one."""
    stem, _, last = key.rpartition(".")
    codec = _CODECS.get(last.lower())
    return (stem.rpartition(".")[2] if codec else last).lower(), codec


@dataclass(frozen=True, slots=True)
class Terms:
    """On what terms a file is read: `copy` is the bucket and key of its plain copy, `until` a time.monotonic()."""

    copy: tuple[str, str]
    until: float = math.inf


@contextmanager
def reading(s3: S3, item: Object, *, encoding: str, terms: Terms, part: Layout | None = None) -> Iterator[Text]:
    """Read a file, behind its part that is known, to wherever the block ends; write its plain copy if it needs one.

    Raises, from `chunks`, MalformedInput for what cannot be decompressed or is not in this encoding, and OutOfTime for
    what needs a copy and takes too long: that must be read in one go, and so has no part.
    """
    start = 0 if part is None else part.end
    with ExitStack() as stack:
        raw = stack.enter_context(closing(s3.stream(item.bucket, item.key, start=start, end=item.size, etag=item.etag)))
        if part is not None:
            yield _plain(item, raw, terms.until)
            return
        head = next(raw, b"")
        codec = _codec(item, head)
        chunks: Iterator[bytes] = chain([head], raw)
        if codec:
            chunks = stack.enter_context(closing(_decompressed(item, chunks, codec)))
        chunks = _checked(item, chunks, encoding)
        if not codec and encoding == "utf-8":
            yield _plain(item, chunks, terms.until)
            return
        chunks = _timed(item, chunks, terms.until)
        if encoding != "utf-8":
            chunks = _transcoded(item, chunks, encoding)
        with s3.writer(*terms.copy) as out:
            text = Text(_copied(chunks, out.write), item)
            yield text
        text.stored = Object(*terms.copy, out.etag, out.size)


def blocks(
    chunks: Iterable[bytes], end_of: Callable[[bytes], int], *, size: int, name: str
) -> Generator[bytes, None, None]:
    """Cut a stream that begins at a record into blocks of whole records, some `size` bytes each.

    `end_of` returns the offset behind the last whole record of some bytes, 0 if there is none. Raises
    MalformedInput for a record beyond MOST_RECORD_BYTES.
    """
    rest = b""
    for chunk in chunks:
        for start in range(0, len(chunk), size):
            data = rest + chunk[start : start + size]
            end = end_of(data)
            if end:
                yield data[:end]
            rest = data[end:]
            if len(rest) > MOST_RECORD_BYTES:
                raise MalformedInput(
                    f"{name} has a record of more than {MOST_RECORD_BYTES >> 20} MB. It is not what its format says, "
                    "or a line end or a closing quote is missing."
                )
    if rest:
        yield rest


def _codec(item: Object, head: bytes) -> str | None:
    """Return the compression: as the name says, else as the first bytes do."""
    _, codec = suffixes(item.key)
    if codec is None:
        return next((codec for magic, codec in _MAGIC.items() if head.startswith(magic)), None)
    if not item.size:
        raise MalformedInput(f"{item.uri} is empty, which no {codec} file is. Write it again.")
    return codec


class _Stream(io.RawIOBase):
    """Chunks as a file that Arrow reads from."""

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


def _decompressed(item: Object, chunks: Iterator[bytes], codec: str) -> Generator[bytes, None, None]:
    with pa.CompressedInputStream(pa.PythonFile(_Stream(chunks), mode="r"), codec) as stream:
        while True:
            try:
                data = stream.read(_UNPACKED_BYTES)
            except (pa.ArrowException, OSError) as err:
                raise MalformedInput(f"{item.uri} cannot be decompressed as {codec}: {err}. Write it again.") from err
            if not data:
                return
            yield data


def progress(item: Object, layout: Layout, part: Found | None) -> Layout:
    """Return what is known of a file that was not read whole. Raises OutOfTime if that is no more than before."""
    if layout.rows == (0 if part is None else part.layout.rows):
        raise OutOfTime(item.uri)
    return layout


def _plain(item: Object, chunks: Iterator[bytes], until: float) -> Text:
    def in_time() -> Iterator[bytes]:
        for chunk in chunks:
            if time.monotonic() > until:
                text.whole = False
                return
            yield chunk

    text = Text(in_time(), item)
    return text


def _timed(item: Object, chunks: Iterator[bytes], until: float) -> Iterator[bytes]:
    """Refuse to go on for longer than the function may: it would be started again, only to time out again."""
    for chunk in chunks:
        if time.monotonic() > until:
            raise OutOfTime(item.uri)
        yield chunk


def _checked(item: Object, chunks: Iterator[bytes], encoding: str) -> Iterator[bytes]:
    """Refuse, by its first bytes, what is no text in this encoding."""
    first = True
    for chunk in chunks:
        if first:
            what = next((what for magic, what in _FOREIGN.items() if chunk.startswith(magic)), encoding)
            if what.lower() != encoding:
                hint = 'Set input.csv.encoding to "utf-16", if it is CSV.' if what == "UTF-16" else "Convert it."
                raise MalformedInput(f"{item.uri} is {what}, not text in {encoding}. {hint}")
        first = False
        yield chunk


def _transcoded(item: Object, chunks: Iterator[bytes], encoding: str) -> Iterator[bytes]:
    decoder = codecs.getincrementaldecoder(encoding)()
    at = 0
    try:
        for chunk in chunks:
            at += len(chunk)
            yield decoder.decode(chunk).encode()
        yield decoder.decode(b"", final=True).encode()
    except UnicodeError as err:
        raise MalformedInput(
            f"{item.uri} is not {encoding}, as input.csv.encoding says: what stands before byte {at} cannot be decoded "
            f"({getattr(err, 'reason', err)}). Set another encoding."
        ) from err


def _copied(chunks: Iterator[bytes], write: Callable[[bytes], int]) -> Iterator[bytes]:
    for chunk in chunks:
        if chunk:
            write(chunk)
            yield chunk
