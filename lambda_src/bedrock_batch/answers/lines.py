"""Cut streams of bytes into blocks of whole lines, and blocks into lines."""

from collections.abc import Iterable, Iterator

_BLOCK = 1 << 19  # Bytes to parse at once: they fit into a processor's cache.


def whole_lines(blocks: Iterable[bytes]) -> Iterator[bytes | memoryview]:
    """Cut a stream of bytes into small blocks of whole lines. The last line may lack its newline.

    Only the byte `\\n` ends a line: U+2028, U+0085 and similar characters may be part of a JSON string.
    """
    held: list[bytes] = []
    for block in blocks:
        view, start = memoryview(block), 0
        while end := block.rfind(b"\n", start, start + _BLOCK) + 1 or block.find(b"\n", start + _BLOCK) + 1:
            yield b"".join([*held, view[start:end]]) if held else view[start:end]
            held, start = [], end
        if start < len(block):
            held.append(block[start:])
    if held:
        yield b"".join(held)


def lines_of(block: bytes | memoryview) -> Iterator[bytes]:
    """Yield the lines of a block that are not blank."""
    whole, start = bytes(block), 0
    while start < len(whole):
        end = whole.find(b"\n", start) + 1 or len(whole)
        line = whole[start:end]
        start = end
        if not line.isspace():
            yield line
